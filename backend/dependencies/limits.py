"""Rate limits of a request: tokens are taken before any work.

The limits of signing in are shared by all processes, in PostgreSQL or Redis (`REDIS_URL`). The general limit
(`RATE_LIMIT`) is each process's own and costs no statement.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request

from backend.core import clock
from backend.core.errors import TooMany, Unavailable
from backend.core.limits import Buckets, Limit, SharedBuckets, Standing
from backend.core.passwords import HASHING_THREADS
from backend.dependencies.doors import Door, address_of

MINUTE = 60
# Those that hash, and one that stands ready. A storm of sign-ins waits here with nothing begun, not for a connection
# or for the tokens of its address, which would keep all others from the database (decision 93).
TURNS = HASHING_THREADS + 1
TURN_SECONDS = 10.0  # who waits longer is told to come again: a PostgreSQL that hangs holds up each turn


@dataclass(frozen=True, slots=True)
class Gate:
    """What a call that anyone may make is limited by: its client's address, and the account that it names."""

    name: str
    by_address: Limit
    by_account: Limit | None = None
    forgiving: bool = False  # a success gives its tokens back
    hashing: bool = False  # its calls wait for a turn: at most `TURNS` are under way


# At most 5 + 5 wrong passwords a minute are looked at for one account (S10), whoever sends them.
SIGN_IN = Gate("sign-in", Limit(100, MINUTE), Limit(5, MINUTE), forgiving=True, hashing=True)
SIGN_UP = Gate("sign-up", Limit(300, MINUTE), hashing=True)
# The current password is asked for again, so it can be guessed with a stolen token.
PASSWORD = Gate("password", Limit(100, MINUTE), Limit(5, MINUTE), forgiving=True, hashing=True)
FORGOT = Gate("forgot", Limit(30, MINUTE), Limit(5, MINUTE))
# A token from a mail names its account only to us, and has 256 bits: guessing is limited by address.
RESET = Gate("reset", Limit(100, MINUTE), hashing=True)
VERIFY_EMAIL = Gate("verify-email", Limit(100, MINUTE))
# Each step of a sign-in with a provider is one call.
OAUTH = Gate("oauth", Limit(300, MINUTE))
RESEND = Gate("resend", Limit(30, MINUTE), Limit(3, MINUTE))
# Nobody finds a digest by guessing; this keeps the public question cheap.
VERIFY = Gate("verify", Limit(60, MINUTE))

Bucket: TypeAlias = tuple[str, Limit]


def _judge(request: Request, taken: bool, standing: Standing) -> None:
    """Keep a request's tightest standing for its headers (core.edge). Raises TooMany when no token was left."""
    state = request.scope["state"]
    known: Standing | None = state.get("standing")
    if known is None or not taken or standing.remaining < known.remaining:
        state["standing"] = standing
    if not taken:
        wait = max(1, standing.wait)
        raise TooMany(f"Too many tries; try again in {wait} seconds.", headers={"Retry-After": str(wait)})


@asynccontextmanager
async def limited(door: Door, gate: Gate, account: str | None = None) -> AsyncIterator[None]:
    """Let one call through the gate. Raises TooMany, and Unavailable when nobody can say how often there were tries.

    The address pays first, so that a client who is out of tokens cannot use up an account's.
    """
    async with _turn(door) if gate.hashing else nullcontext(), _tokens_taken(door, gate, account):
        yield


@asynccontextmanager
async def _turn(door: Door) -> AsyncIterator[None]:
    """One of the turns. Raises Unavailable when none comes in `TURN_SECONDS`."""
    turns: asyncio.Semaphore = door.request.app.state.turns
    try:
        async with asyncio.timeout(TURN_SECONDS):
            await turns.acquire()
    except TimeoutError:
        raise Unavailable("The service is busy; try again shortly.", code="busy") from None
    try:
        yield
    finally:
        turns.release()


@asynccontextmanager
async def _tokens_taken(door: Door, gate: Gate, account: str | None) -> AsyncIterator[None]:
    taken: list[Bucket] = [(f"{gate.name} address {address_of(door.request)}", gate.by_address)]
    if gate.by_account is not None and account is not None:
        taken.append((f"{gate.name} account {account.strip().replace(chr(0), '')}", gate.by_account))
    shared: SharedBuckets = door.request.app.state.shared_buckets
    for subject, limit in taken:
        _judge(door.request, *await shared.take(subject, limit))
    yield
    if gate.forgiving:
        with suppress(Unavailable):  # what has succeeded has succeeded
            for subject, limit in taken:
                await shared.give_back(subject, limit)


def general(request: Request, user: object | None) -> None:
    """Take a token of the general limit, of the user or else the address. Raises TooMany."""
    buckets: Buckets | None = request.app.state.buckets
    if buckets is not None:
        _judge(request, *buckets.take(user or address_of(request), clock.now()))
