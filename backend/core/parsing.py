"""JSON that comes in is JSON: no NaN, no Infinity, no name twice, no number that nothing could hold."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from backend.core.errors import BadRequest, Invalid

_MOST_DIGITS = 40


def parse_json(text: str) -> Any:
    """The value; numbers with a point are Decimal. Raises BadRequest (400) for what is not JSON, Invalid (422) for
    what JSON does not have.
    """
    try:
        return json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_decimal,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.", code="malformed_json") from None


def _refuse_constant(name: str) -> None:
    raise Invalid.field("body", f"{name} is not a JSON number")


def _digits(text: str) -> str:
    if len(text) > _MOST_DIGITS:
        raise Invalid.field("body", f"a number has more than {_MOST_DIGITS} characters")
    return text


def _integer(text: str) -> int:
    return int(_digits(text))


def _decimal(text: str) -> Decimal:
    return Decimal(_digits(text))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid.field("body", "a name stands twice in one object")
    return found
