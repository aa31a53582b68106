"""The edge: one pure-ASGI middleware for request ids, the request's log line, standing headers and the last catch."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.errors import HeadersTooLarge, Problem, TooLarge, TooSlow, UriTooLong
from backend.core.ids import new_id
from backend.core.logging import request_line
from backend.core.problems import written

log = structlog.get_logger("backdrop.request")

_OWN_ID = re.compile(rb"^[A-Za-z0-9._-]{8,64}$")
_MOST_URI = 8 * 1024
_MOST_HEADERS = 128 * 1024  # bytes of all together; a forged token of 100 kB is judged as a token (401)
_MOST_HEADER_LINES = 100

_STANDING = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
# A body has this long, and a second more for every so many bytes that have come.
BODY_SECONDS = 20.0
BODY_PACE = 10_000
# The policy of an answer that is no page: it loads nothing, runs nothing, and stands in no frame.
NOTHING = "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# What a route may say otherwise: the page of the documentation runs scripts, a file may be kept.
_UNLESS_SAID = [
    (b"content-security-policy", NOTHING.encode()),
    (b"cache-control", b"no-store"),
]
_ONLY_HTTPS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Edge:
    """Wraps the whole application. It never buffers a body and never logs a query string, a header or a body.

    A body may have `most` bytes; a route that takes more says so in the request's state, as `most`. `https` tells
    browsers to come by HTTPS only, from now on.
    """

    def __init__(self, app: ASGIApp, most: int, *, https: bool = False) -> None:
        self.app = app
        self.most = most
        self.standing = [*_STANDING, _ONLY_HTTPS] if https else _STANDING

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens inside."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, receive, send)
        if exchange.method == "HEAD":  # what answers GET answers HEAD, less the body
            scope = {**scope, "method": "GET"}
        with structlog.contextvars.bound_contextvars(request_id=exchange.id):
            try:
                _must_fit(scope)
                await self.app(scope, exchange.receive, exchange.send)
            except Problem as problem:
                await exchange.refuse(problem)
            except Exception:
                log.exception("failed", method=exchange.method, route=exchange.route)
                if exchange.status:
                    raise
                await exchange.refuse(
                    Problem("Something went wrong on our side; the request id will find it in the log.")
                )
            exchange.write_line()


class _Exchange:
    """One request and its answer, as they pass the edge."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        self._edge = edge
        self._receive = receive
        self._send = send
        self._started = time.perf_counter()
        self._announced = _content_length(scope)
        self._read = 0
        self._whole = False
        self._state: MutableMapping[str, Any] = scope.setdefault("state", {})
        self.method: str = scope["method"]
        self.id = _request_id(scope)
        self.status = 0

    @property
    def route(self) -> str:
        """The operation's name: no id and no signature is in the log; unknown paths are one kind."""
        name = self._state.get("route")
        return name if isinstance(name, str) else "(none)"

    async def receive(self) -> Message:
        """The next piece of the body. Raises TooSlow, or TooLarge before anything is read when that is announced."""
        most = self._state.get("most", self._edge.most)
        if self._announced > most:
            raise TooLarge("The body is larger than this call takes.")
        if self._whole:  # what is awaited now is the client's leaving
            return await self._receive()
        try:
            async with asyncio.timeout(self._patience()):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow("The body comes too slowly.") from None
        self._whole = not message.get("more_body", False)
        self._read += len(message.get("body", b""))
        if self._read > most:
            raise TooLarge("The body is larger than this call takes.")
        return message

    def _patience(self) -> float:
        """For how many more seconds the body may take, at the pace it has had."""
        return self._started + BODY_SECONDS + self._read / BODY_PACE - time.perf_counter()

    async def send(self, message: Message) -> None:
        """The answer's next piece, the first one with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            said = {name.lower() for name, _ in message["headers"]}
            message = {**message, "headers": [*message["headers"], *self._headers(said)]}
        elif self.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)

    def _headers(self, said: set[bytes]) -> list[tuple[bytes, bytes]]:
        found = [*self._edge.standing, (b"x-request-id", self.id.encode())]
        found += [each for each in _UNLESS_SAID if each[0] not in said]
        if "standing" in self._state:  # of a rate limit (dependencies.limits)
            limits = self._state["standing"].headers
            found += [(name.lower().encode(), value.encode()) for name, value in limits.items()]
        return found

    async def refuse(self, problem: Problem) -> None:
        """Answer with problem details."""
        status, headers, body = written(problem, self.id)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    def write_line(self) -> None:
        """The request's line in the log."""
        request_line(
            method=self.method,
            route=self.route,
            status=self.status,
            ms=round((time.perf_counter() - self._started) * 1000, 2),
            user_id=str(self._state["user_id"]) if "user_id" in self._state else None,
        )


def _must_fit(scope: Scope) -> None:
    """Raises UriTooLong, HeadersTooLarge."""
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _MOST_URI:
        raise UriTooLong(f"The address has more than {_MOST_URI} bytes.")
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if size > _MOST_HEADERS or len(scope["headers"]) > _MOST_HEADER_LINES:
        raise HeadersTooLarge("The headers of this request are too large.")


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
