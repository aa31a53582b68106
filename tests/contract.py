"""Every answer of every test is held against openapi.json: its status is declared, its body has the declared shape.

`must_keep_contract` is a response hook of the tests' HTTP client (tests/conftest.py).
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import httpx2
from jsonschema import Draft202012Validator, FormatChecker

from backend.core.problems import MEDIA_TYPE
from tests.architecture.routes import Operation, document, operations, resolved

# Answers that any path may give and no call declares: a method it does not have, a request that does not come or
# is too long, a failure that a test plants.
UNDECLARED = {405, 408, 414, 431, 500}


@lru_cache
def _patterns() -> list[tuple[re.Pattern[str], Operation]]:
    found = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", each.path)), each) for each in operations()]
    return sorted(found, key=lambda pair: "{" in pair[1].path)  # a literal path wins over one with an id


def operation_of(method: str, path: str) -> Operation | None:
    """The call that a request makes, if it is one of ours."""
    for pattern, operation in _patterns():
        if operation.method == method.lower() and pattern.fullmatch(path):
            return operation
    return None


@lru_cache
def _validator(operation_id: str, status: str, kind: str) -> Draft202012Validator:
    operation = next(each for each in operations() if each.id == operation_id)
    content = resolved(operation.doc["responses"][status])["content"]
    schema = {**content[kind]["schema"], "components": document()["components"]}
    return Draft202012Validator(schema, format_checker=FormatChecker())


def check(operation: Operation, status: int, kind: str, body: bytes) -> None:
    """Hold one answer against the contract of its call."""
    declared: dict[str, Any] = operation.doc["responses"]
    assert str(status) in declared, (
        f"{operation.id} answers {status}, which openapi.json does not declare: {body[:300]!r}"
    )
    content = resolved(declared[str(status)]).get("content", {})
    if not content:
        assert not body, f"{operation.id} declares {status} without a body"
    elif kind in ("application/json", MEDIA_TYPE):
        assert kind in content, f"{operation.id} answers {status} as {kind}, which openapi.json does not declare"
        _validator(operation.id, str(status), kind).validate(json.loads(body))


async def must_keep_contract(response: httpx2.Response) -> None:
    """Fails the test whose call was answered otherwise than documented."""
    assert response.headers.get("x-request-id"), "an answer without its X-Request-ID"
    operation = operation_of(response.request.method, response.request.url.path)
    if operation is not None and response.status_code not in UNDECLARED:
        kind = response.headers.get("content-type", "").split(";")[0]
        check(operation, response.status_code, kind, await response.aread())
