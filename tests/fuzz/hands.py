"""What a person would fill in and a generator cannot know: a fresh key, a script that is one, an address that exists.

Only requests that are meant to be in order are helped along, and not all of them: what was generated is sent as well.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

import schemathesis
from hypothesis import strategies
from schemathesis import Case, HookContext, hook
from schemathesis.core.parameters import ParameterLocation

_chance = random.Random(20)
_SCRIPT = b"Title: Paper Boats\n\nEXT. COURTYARD - DAY\n\nNINA folds a boat. The kettle steams.\n"
_CATALOGUE = b"title,price,margin,externalId\nPaper atlas,12.50,40,MO-3001\nThermos,44.90,42,MO-1001\n"
_UPLOADS = {"createProject": ("a.fountain", _SCRIPT), "replaceScript": ("a.fountain", _SCRIPT)}
_UPLOADS["importSkus"] = ("a.csv", _CATALOGUE)

# The format alone would give addresses that nobody can have: `p!@8.test`, `x@localhost`.
schemathesis.openapi.format("email", strategies.from_regex(r"\A[a-z][a-z0-9]{2,20}@[a-z]{3,10}\.com\Z"))


def _in_order(case: Case[Any], location: ParameterLocation) -> bool:
    return case.meta is None or not case.meta.is_negative_at(location)


def _mostly() -> bool:
    return _chance.random() < 0.9


@hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Fill in, just before the request is sent."""
    # Every request from an address of its own, by the proxy that the server trusts: limits by address stay out of it.
    address = f"192.0.2.{_chance.randrange(256)}, 10.{_chance.randrange(256)}.{_chance.randrange(256)}.7"
    case.headers["X-Forwarded-For"] = address
    if "Idempotency-Key" in case.headers and _in_order(case, ParameterLocation.HEADER) and _mostly():
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if case.query and "cursor" in case.query and _in_order(case, ParameterLocation.QUERY) and _mostly():
        del case.query["cursor"]
    upload = _UPLOADS.get(case.operation.definition.raw.get("operationId", ""))
    if upload and isinstance(case.body, dict) and _in_order(case, ParameterLocation.BODY) and _mostly():
        kwargs["files"] = {"file": upload}
        kwargs["data"] = {name: str(value) for name, value in case.body.items() if name != "file"}
