"""What Schemathesis may not hold against us, each with its reason; everything else that it finds is a failure.

Schemathesis knows what openapi.json can say. These are rules of api.md that a schema has no words for: they relate two
fields, a field to who calls, or a value to what is stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from schemathesis import Case, HookContext, Response, hook
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.openapi.checks import RejectedPositiveData, UndefinedStatusCode

Found: TypeAlias = Callable[[Case[Any], Response, dict[str, Any]], bool]

# What may come of a request in order, beside a success: who calls, what is there, what state it is in, and how busy we
# are. 412 is not in Schemathesis' own list: `If-Match` was in order, the version was not the current one.
AFTER_ALL = ["2xx", "3xx", "401", "403", "404", "409", "412", "429", "503"]


# How what is not in order may be refused: Schemathesis' own list, and what is too old, too large or too long.
REFUSED = ["400", "401", "403", "404", "405", "409", "412", "413", "414", "415", "422", "429", "431", "503"]


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A kind of failure that is none, why, and how to know it."""

    reason: str
    failure: type[Failure]
    is_it: Found


def _code(*codes: str) -> Found:
    return lambda case, response, problem: problem.get("code") in codes


def _says(field: str, message: str) -> Found:
    """A 422 about nothing but this."""
    return lambda case, response, problem: problem.get("errors") == [{"field": field, "message": message}]


def _half_a_form(case: Case[Any]) -> bool:
    body = case.body if isinstance(case.body, dict) else {}
    return "metadata" in body or not {"title", "budgetTarget", "productionWindow"} <= set(body)


def _padded(case: Case[Any]) -> bool:
    body = case.body if isinstance(case.body, dict) else {}
    return any(isinstance(value, str) and value != value.strip() for value in body.values())


EXCLUSIONS = [
    Exclusion(
        "white space around a text is taken off before its length is judged; a schema counts it",
        AcceptedNegativeData,
        lambda case, response, problem: _padded(case),
    ),
    Exclusion(
        "an id in a body that is nobody's, or not one of the caller's, is a 422 by api.md; ids are not in a schema",
        RejectedPositiveData,
        _code("unknown_project", "unknown_sku", "unknown_buyer", "unknown_scene", "unknown_suggestion"),
    ),
    Exclusion(
        "an Idempotency-Key that was used for another request is a 422 by api.md",
        RejectedPositiveData,
        _code("idempotency_key_reused"),
    ),
    Exclusion(
        "a secret is right or wrong; any text is well-formed",
        RejectedPositiveData,
        _code("invalid_reset_token", "invalid_verification_token", "invalid_sign_in_code", "wrong_password"),
    ),
    Exclusion(
        "a list of sixteen thousand passwords, and the account's own words, are no pattern (decision 0091)",
        RejectedPositiveData,
        _code("common_password"),
    ),
    Exclusion(
        "an address or headers that are too long are refused before any call is looked for (tests/contract.py)",
        UndefinedStatusCode,
        _code("uri_too_long", "headers_too_large"),
    ),
    Exclusion(
        "a cursor is what an answer gave: any text is well-formed, few are cursors",
        RejectedPositiveData,
        _says("cursor", "is not a cursor of this list"),
    ),
    Exclusion(
        "what is needed depends on who calls: an operator names a side, the parties must not",
        RejectedPositiveData,
        lambda case, response, problem: problem.get("detail", "").startswith("onBehalfOf"),
    ),
    Exclusion(
        "a span does not end before it begins: a schema has no words for two fields",
        RejectedPositiveData,
        lambda case, response, problem: "must not be above" in problem.get("detail", ""),
    ),
    Exclusion(
        "a scene is the creator's to offer: a buyer's terms name none",
        RejectedPositiveData,
        _says("sceneId", "is for the creator of the slot only"),
    ),
    Exclusion(
        "a new project takes form fields or one JSON part; the form is told flat, since a page draws its form from it",
        RejectedPositiveData,
        lambda case, response, problem: case.operation.label == "POST /api/v1/projects" and _half_a_form(case),
    ),
    Exclusion(
        "a file is judged by its content, and by its name together with its content",
        RejectedPositiveData,
        _code("unsupported_script", "content_mismatch", "invalid_catalogue"),
    ),
]


@hook
def filter_failure(context: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Whether this counts: Schemathesis asks for every failure."""
    problem = _problem_of(response)
    return not any(isinstance(failure, each.failure) and each.is_it(case, response, problem) for each in EXCLUSIONS)


def _problem_of(response: Response) -> dict[str, Any]:
    kind = response.headers.get("content-type", [""])[0]
    problem: dict[str, Any] = response.json() if kind.startswith("application/problem+json") else {}
    return problem
