"""How a call reads its arguments and answers: FastAPI's plan of it (`Dependant`), followed without asking again.

FastAPI asks of every parameter, at every request, what kind it is, and keeps two stacks of exits. Here that is asked
once, when the route is made (decision 120).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

from fastapi import Request, Response, params
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.errors import BadRequest

Handle = Callable[[Request], Awaitable[Response]]
_NOTHING = object()


class _Parameter(NamedTuple):
    """One value of a path, a query or a body: where it stands, and what judges it."""

    name: str
    alias: str
    place: tuple[str, ...]
    field: Any  # FastAPI's ModelField
    default: Any  # _NOTHING when it is required

    def read(self, value: Any, errors: list[Any]) -> Any:
        """The value as the function takes it; what is wrong with it joins the errors."""
        if value is _NOTHING:
            if self.default is _NOTHING:
                errors.append({"type": "missing", "loc": self.place, "msg": "Field required"})
            return self.default
        found, wrong = self.field.validate(value, loc=self.place)
        errors += wrong
        return found


def _parameters(fields: list[Any], place: str) -> list[_Parameter]:
    return [
        _Parameter(
            field.name,
            field.alias,
            (place,) if place == "body" else (place, field.alias),
            field,
            _NOTHING if field.field_info.is_required() else field.get_default(),
        )
        for field in fields
    ]


class _Function:
    """A function with what it is called with: a route's own, or that of something it depends on."""

    def __init__(self, dependant: Dependant) -> None:
        assert dependant.call is not None
        self.call: Callable[..., Awaitable[Any]] = dependant.call
        self.name = dependant.name or ""
        self.request = dependant.request_param_name
        self.path = _parameters(dependant.path_params, "path")
        self.query = _parameters(dependant.query_params, "query")
        self.body = _parameters(dependant.body_params, "body")
        self.needs = [_Function(each) for each in dependant.dependencies]

    async def arguments(self, request: Request, body: Any) -> dict[str, Any]:
        """By name. Raises RequestValidationError with everything that is wrong."""
        found: dict[str, Any] = {}
        errors: list[Any] = []
        for need in self.needs:
            try:
                found[need.name] = await need.call(**await need.arguments(request, body))
            except RequestValidationError as wrong:
                errors += wrong.errors()
        self._read(self.path, request.path_params, found, errors)
        if self.query:
            self._read(self.query, request.query_params, found, errors)
        for each in self.body:
            found[each.name] = each.read(body, errors)
        if errors:
            raise RequestValidationError(errors)
        if self.request is not None:
            found[self.request] = request
        return found

    @staticmethod
    def _read(wanted: list[_Parameter], given: Mapping[str, str], found: dict[str, Any], errors: list[Any]) -> None:
        for each in wanted:
            found[each.name] = each.read(given.get(each.alias, _NOTHING), errors)


def is_plain(dependant: Dependant) -> bool:
    """Whether a call has only what is followed here: path, query, one JSON body, and coroutines that it depends on."""
    others = (
        dependant.header_params,
        dependant.cookie_params,
        dependant.websocket_param_name,
        dependant.http_connection_param_name,
        dependant.response_param_name,
        dependant.background_tasks_param_name,
        dependant.security_scopes_param_name,
        dependant.concurrency,
    )
    return (
        not any(others)
        and iscoroutinefunction(dependant.call)
        and all(_is_one_value(field.field_info) for field in dependant.query_params)
        and len(dependant.body_params) <= 1
        and all(_is_json(field.field_info) for field in dependant.body_params)
        and all(is_plain(each) and not each.body_params for each in dependant.dependencies)
    )


def _is_one_value(info: Any) -> bool:
    return not _is_model(info.annotation) and info.annotation not in (list, set, tuple)


def _is_json(info: Any) -> bool:
    return isinstance(info, params.Body) and not isinstance(info, params.Form) and not info.embed


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def answering(dependant: Dependant) -> Handle:
    """What reads the arguments of a plain call, calls it, and answers with its response."""
    function = _Function(dependant)

    async def answer(request: Request) -> Response:
        body = _NOTHING
        if function.body:
            try:
                if await request.body():
                    body = await request.json()
            except ClientDisconnect:
                raise BadRequest("The body did not come whole.") from None
        response: Response = await function.call(**await function.arguments(request, body))
        return response

    return answer


def served(handle: Handle) -> ASGIApp:
    """A handler as an ASGI application. What it raises, the application's own handlers answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(Request(scope, receive, send))
        await response(scope, receive, send)

    return app
