"""Rate limits of a request: tokens are taken before any work.

The limits of signing in are shared by all processes, in PostgreSQL or Redis (`REDIS_URL`). The general limit
(`RATE_LIMIT`) is each process's own and costs no statement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request

from backend.core import clock
from backend.core.errors import TooMany, Unavailable
from backend.core.limits import Buckets, Limit, SharedBuckets, Standing
from backend.dependencies.doors import Door, address_of

MINUTE = 60


@dataclass(frozen=True, slots=True)
class Gate:
    """What a call that anyone may make is limited by: its client's address, and the account that it names."""

    name: str
    by_address: Limit
    by_account: Limit | None = None
    forgiving: bool = False  # a success gives its tokens back


# At most 5 + 5 wrong passwords a minute are looked at for one account (S10), whoever sends them.
SIGN_IN = Gate("sign-in", Limit(100, MINUTE), Limit(5, MINUTE), forgiving=True)
SIGN_UP = Gate("sign-up", Limit(300, MINUTE))
# The current password is asked for again, so it can be guessed with a stolen token.
PASSWORD = Gate("password", Limit(100, MINUTE), Limit(5, MINUTE), forgiving=True)
FORGOT = Gate("forgot", Limit(30, MINUTE), Limit(5, MINUTE))
# A token from a mail names its account only to us, and has 256 bits: guessing is limited by address.
RESET = Gate("reset", Limit(100, MINUTE))
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
