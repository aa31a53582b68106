"""The kind of route that every call of ours is: it judges in the order that api.md gives.

401 comes before anything about the body; then 415 and 413; then broken JSON (400) and the shape (422).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, APIRouter
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.core.errors import BadRequest, Problem, UnsupportedMedia
from backend.core.parsing import parse_json
from backend.dependencies import calls
from backend.dependencies.documentation import SIGNED_IN
from backend.dependencies.doors import Door, claims_of, needs_sign_in
from backend.dependencies.limits import general
from backend.dependencies.security import note_reading

API = "/api/v1"
# The paths without a parameter: `/skus/bulk` is no SKU, so it has not the methods of `/skus/{sku_id}`.
_LITERAL: set[str] = set()


class StrictRequest(Request):
    """A request whose JSON is judged by `core.parsing`."""

    async def json(self) -> Any:
        """The body. Raises BadRequest when it is not JSON, Invalid for what JSON does not have."""
        if not hasattr(self, "_parsed"):
            try:
                text = (await self.body()).decode()
            except UnicodeDecodeError:
                raise BadRequest("The body is not UTF-8.", code="malformed_json") from None
            self._parsed = parse_json(text)
        return self._parsed


class Route(APIRoute):
    """A route under the base path that signs in first and reads the body second."""

    base = API
    limited = True

    def __init__(self, path: str, *args: Any, **options: Any) -> None:
        super().__init__(f"{self.base}{path}", *args, **options)
        if "{" not in path:
            _LITERAL.add(self.path)
        if calls.is_plain(self.dependant):
            self.app = calls.served(self.get_route_handler())
        if needs_sign_in(self.dependant):
            self.openapi_extra = {**(self.openapi_extra or {}), "security": SIGNED_IN}

    def is_anothers(self, parameters: Mapping[str, str]) -> bool:
        """Whether the parameters of a path spell one that stands for itself."""
        return self.path not in _LITERAL and self.path.format_map(parameters) in _LITERAL

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler inside our order of judgement."""
        plain = calls.is_plain(self.dependant)
        handle = calls.answering(self.dependant) if plain else super().get_route_handler()
        private = needs_sign_in(self.dependant)
        media_type = getattr(self.body_field.field_info, "media_type", None) if self.body_field else None
        name = self.operation_id

        async def judge(request: Request) -> Response:
            request.scope["state"]["route"] = name
            if self.is_anothers(request.path_params):
                raise HTTPException(405)
            user = claims_of(request).user_id if private else None
            if self.limited:
                general(request, user)
            strict = StrictRequest(request.scope, request.receive)
            try:
                if media_type is not None:
                    await _must_be(media_type, strict)
                response = await handle(strict)
            except (RequestValidationError, HTTPException, Problem) as caught:
                # FastAPI wraps what reading the body raises; the cause is what is meant.
                error = caught.__cause__ if isinstance(caught.__cause__, Problem) else caught
                early = not isinstance(error, Problem) or error.status in (400, 408, 413, 415, 422)
                if private and early:
                    await Door(strict).must_be_signed_in()
                raise error from None
            note_reading(request)
            return response

        return judge


class Shelves:
    """The routes of an application by the first word of their paths, each found as in one list, but sooner.

    A request is held against the routes of its noun only, not against those of all others before it.
    """

    def __init__(self, router: APIRouter) -> None:
        self._others: ASGIApp = router.app
        shelves: dict[str, list[BaseRoute]] = {}
        for route in router.routes:
            if isinstance(route, Route) and route.base == API:
                shelves.setdefault(_noun(route.path), []).append(route)
        self._shelves = {noun: Router(routes, redirect_slashes=False).app for noun, routes in shelves.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the routes of its noun; what has none is for the whole list to answer."""
        found = self._shelves.get(_noun(scope["path"])) if scope["type"] == "http" else None
        await (found or self._others)(scope, receive, send)


def _noun(path: str) -> str:
    """The first word after the base path; elsewhere nothing."""
    return path[len(API) + 1 :].partition("/")[0] if path.startswith(f"{API}/") else ""


class Probe(Route):
    """A route that whoever watches the service asks, under any path and as often as they like."""

    base = ""
    limited = False


class UploadRoute(Route):
    """A route whose body may have `MAX_UPLOAD_MB`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with more room."""
        handle = super().get_route_handler()

        async def with_room(request: Request) -> Response:
            request.scope["state"]["most"] = request.app.state.settings.max_upload_mb * 1024 * 1024
            return await handle(request)

        return with_room


async def _must_be(media_type: str, request: Request) -> None:
    """Raises UnsupportedMedia for a body of another type. No body at all passes: the shape decides."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == media_type:
        return
    if kind or await request.body():
        raise UnsupportedMedia(f"This call takes {media_type}.")
