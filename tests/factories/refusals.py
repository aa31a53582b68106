"""Refusals: what an error must look like."""

from __future__ import annotations

from typing import Any

import httpx2


def refused(response: httpx2.Response, status: int, code: str | None = None, field: str | None = None) -> Any:
    """The problem details of a refusal with this status (and code, and a finding about this field)."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["requestId"] == response.headers["x-request-id"]
    if code is not None:
        assert problem["code"] == code, problem
    if field is not None:
        assert field in [each["field"] for each in problem["errors"]], problem
    return problem


def fields(response: httpx2.Response) -> set[str]:
    """The fields that a 422 names."""
    return {each["field"] for each in refused(response, 422)["errors"]}
