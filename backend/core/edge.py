"""The edge: one pure-ASGI middleware for request ids, the request's log line, standing headers and the last catch."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.errors import Problem, TooLarge, TooSlow
from backend.core.ids import new_id
from backend.core.logging import request_line
from backend.core.problems import written

log = structlog.get_logger("backdrop.request")

_OWN_ID = re.compile(rb"^[A-Za-z0-9._-]{8,64}$")
_STANDING = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]
# A body has this long, and a second more for every so many bytes that have come.
BODY_SECONDS = 20.0
BODY_PACE = 10_000


class Edge:
    """Wraps the whole application. It never buffers a body and never logs a query string, a header or a body.

    A body may have `most` bytes; a route that takes more says so in the request's state, as `most`.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens inside."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":  # what answers GET answers HEAD, less the body
            scope = {**scope, "method": "GET"}
        request_id = _request_id(scope)
        started = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_STANDING, (b"x-request-id", request_id.encode())]
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        state: MutableMapping[str, Any] = scope.setdefault("state", {})
        announced, read, whole = _content_length(scope), 0, False

        async def limited() -> Message:
            nonlocal read, whole
            if announced > state.get("most", self.most):
                raise TooLarge("The body is larger than this call takes.")
            if whole:  # what is awaited now is the client's leaving
                return await receive()
            try:
                async with asyncio.timeout(started + BODY_SECONDS + read / BODY_PACE - time.perf_counter()):
                    message = await receive()
            except TimeoutError:
                raise TooSlow("The body comes too slowly.") from None
            whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > state.get("most", self.most):
                raise TooLarge("The body is larger than this call takes.")
            return message

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, limited, answer)
            except Exception:
                log.exception("failed", method=method, route=_route(scope))
                if status:
                    raise
                await _answer_failure(answer, request_id)
            request_line(
                method=method,
                route=_route(scope),
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 2),
                user_id=str(state["user_id"]) if "user_id" in state else None,
            )


def _request_id(scope: Scope) -> str:
    """The caller's own id when it is a plain one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _OWN_ID.match(value):
            return str(value, "ascii")
    return str(new_id())


def _content_length(scope: Scope) -> int:
    """The bytes that the request announces; 0 when it does not say."""
    value = dict(scope["headers"]).get(b"content-length", b"0")
    return int(value) if value.isdigit() else 0


def _route(scope: Scope) -> str:
    """The operation's name: no id and no signature is in the log; unknown paths are one kind."""
    name = scope.get("state", {}).get("route")
    return name if isinstance(name, str) else "(none)"


async def _answer_failure(send: Send, request_id: str) -> None:
    problem = Problem("Something went wrong on our side; the request id will find it in the log.")
    status, headers, body = written(problem, request_id)
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
