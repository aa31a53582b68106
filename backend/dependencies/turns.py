"""Turns of the calls that hash a password: few are under way, the others wait with nothing begun (decision 93)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.core.errors import Problem, Unavailable
from backend.core.passwords import HASHING_THREADS
from backend.dependencies.routes import Route

C = TypeVar("C", bound=Callable[..., Any])

# Those that hash, and one that stands ready. A storm of sign-ins waits here, not for a connection or for the tokens of
# its address, which would keep all others from the database.
TURNS = HASHING_THREADS + 1
TURN_SECONDS = 10.0  # who waits longer is told to come again: a PostgreSQL that hangs holds up each turn
_HASHING: set[Callable[..., Any]] = set()


def hashing(endpoint: C) -> C:
    """Mark a call that hashes a password."""
    _HASHING.add(endpoint)
    return endpoint


class Turns:
    """Lets each call that hashes in when its turn comes: before its route is looked for and its body is judged.

    Fifty of them may arrive at the same moment, and what is done for each before its turn delays every other call. The
    body is there first, so that a client who sends it slowly holds up nobody.
    """

    def __init__(self, app: ASGIApp, routes: list[BaseRoute]) -> None:
        self.app = app
        self._calls = {
            (method, route.path)
            for route in routes
            if isinstance(route, Route) and route.endpoint in _HASHING
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, in its turn. What is wrong with it is said by whoever reads it, in their order."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) not in self._calls:
            await self.app(scope, receive, send)
            return
        body = _Body(receive)
        await body.read()
        turns: asyncio.Semaphore = scope["app"].state.turns
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turns.acquire()
        except TimeoutError:
            body.problem = Unavailable("The service is busy; try again shortly.", code="busy")
            await self.app(scope, body.replay, send)
            return
        try:
            await self.app(scope, body.replay, send)
        finally:
            turns.release()


class _Body:
    """A body that was read ahead, with the problem that ended it, if one did."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._messages: list[Message] = []
        self.problem: Problem | None = None

    async def read(self) -> None:
        """All of it, within the limits of the edge."""
        more = True
        try:
            while more:
                message = await self._receive()
                self._messages.append(message)
                more = message.get("more_body", False)
        except Problem as problem:
            self.problem = problem

    async def replay(self) -> Message:
        """The next piece; after the last one, what the client does next. Raises the problem instead."""
        if self.problem is not None:
            raise self.problem
        return self._messages.pop(0) if self._messages else await self._receive()
