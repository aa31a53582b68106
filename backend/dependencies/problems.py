"""Every error becomes problem details here, the framework's own included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from backend.core import errors
from backend.core.errors import Problem
from backend.core.logging import request_id
from backend.core.problems import written
from backend.dependencies.routes import Route
from backend.dependencies.security import note_refusal

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_WHERE = {"body", "query", "path", "header", "cookie"}
_BY_STATUS: dict[int, type[Problem]] = {
    400: errors.BadRequest,
    401: errors.NotSignedIn,
    403: errors.Forbidden,
    404: errors.NotFound,
    413: errors.TooLarge,
    415: errors.UnsupportedMedia,
}


class MethodNotAllowed(Problem):
    """405: the path exists, the method does not."""

    status = 405
    title = "Method not allowed"
    default_code = "method_not_allowed"


def respond(problem: Problem) -> Response:
    """The problem as a response."""
    status, headers, body = written(problem, request_id())
    return Response(body, status, headers=headers)


def invalid(found: Sequence[Any]) -> errors.Invalid:
    """Pydantic's findings as a 422 that never repeats what was sent.

    A path id that is no id at all is a 404 like any other that is not there.
    """
    details = [{"field": _field(each["loc"]), "message": _message(each)} for each in found[:100]]
    first = details[0] if details else {"field": "body", "message": "is not valid"}
    return errors.Invalid(f"{first['field']}: {first['message']}.".replace("..", "."), details)


def _field(loc: Sequence[str | int]) -> str:
    parts = [str(part).encode("utf-8", "replace").decode()[:100] for part in loc]
    if parts and parts[0] in _WHERE:
        parts = parts[1:]
    return ".".join(parts) or "body"


def _message(error: dict[str, Any]) -> str:
    if error["type"] == "value_error" and "email" in error["msg"]:
        return "is not a valid e-mail address"
    if error["type"] == "extra_forbidden":
        return "is not a field of this call"
    if error["type"] == "missing":
        return "is required"
    text = str(error["msg"]).removeprefix("Value error, ")
    return text.encode("utf-8", "replace").decode()


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    note_refusal(request, error)
    return respond(error)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(each["loc"][:1] == ("path",) for each in found):
        return respond(errors.NotFound())
    return respond(invalid(found))


def _allowed(request: Request) -> str:
    """Every method that some route takes on this path: a path may be several routes, one a method."""

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(_is_meant(route, scope) for route in request.app.router.routes)

    found = [method for method in _METHODS if takes(method)]
    return ", ".join([*found, "HEAD"] if "GET" in found else found)


def _is_meant(route: BaseRoute, scope: Scope) -> bool:
    match, found = route.matches(scope)
    return match is Match.FULL and not (isinstance(route, Route) and route.is_anothers(found["path_params"]))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = _allowed(request)
        return respond(MethodNotAllowed(f"This path takes {allowed}.", headers={"Allow": allowed}))
    if error.status_code == 404:
        return respond(errors.NotFound())
    if error.status_code == 413:
        return respond(errors.TooLarge("The body is larger than this call takes."))
    kind = _BY_STATUS.get(error.status_code, Problem)
    problem = kind("The request cannot be read." if error.status_code == 400 else "The request failed.")
    return respond(problem)


def install(app: FastAPI) -> None:
    """Let the application answer every error as problem details."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
