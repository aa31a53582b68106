"""How an error is written: problem details (RFC 9457), the same for our own errors and the framework's."""

from __future__ import annotations

from typing import Any

from backend.core.errors import Problem
from backend.core.shapes import encode

MEDIA_TYPE = "application/problem+json"


def body_of(problem: Problem, request_id: str | None) -> dict[str, Any]:
    """The members of a problem."""
    return {
        "type": f"urn:backdrop:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "requestId": request_id,
        **problem.extra,
    }


def written(problem: Problem, request_id: str | None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of a problem."""
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store", **problem.headers}
    return problem.status, headers, encode(body_of(problem, request_id))
