"""Rate limits of a request: tokens are taken before any work, and each in a committed statement of its own.

The limits of signing in are shared by all processes, in PostgreSQL: one atomic upsert moves a bucket on or leaves it.
The general limit (`RATE_LIMIT`) is each process's own and costs no statement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from fastapi import Request
from sqlalchemy import Interval, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from backend.core import clock
from backend.core.database import Db
from backend.core.errors import TooMany, Unavailable
from backend.core.limits import Buckets, Limit, Standing
from backend.core.statements import Statement
from backend.dependencies.doors import Door, address_of
from backend.models.limits import RateLimit

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

_STEP = bindparam("p_step", type_=Interval())
# Letter case is folded by the function that looks the account up.
_KEY = func.sha256(func.convert_to(func.lower(bindparam("p_subject")), "UTF8"))
_TAKE = Statement(
    insert(RateLimit)
    .values(key=_KEY, tat=bindparam("p_first"))
    .on_conflict_do_update(
        index_elements=[RateLimit.key],
        set_={"tat": func.greatest(RateLimit.tat, bindparam("p_now", type_=RateLimit.tat.type)) + _STEP},
        where=RateLimit.tat <= bindparam("p_latest"),
    )
    .returning(RateLimit.tat)
)
_STANDS = Statement(select(RateLimit.tat).where(RateLimit.key == _KEY))
_GIVE_BACK = Statement(update(RateLimit).where(RateLimit.key == _KEY).values(tat=RateLimit.tat - _STEP))
Bucket: TypeAlias = tuple[str, Limit]


async def _take(db: Db, bucket: Bucket) -> tuple[bool, Standing]:
    """Take a token from a shared bucket: whether there was one, and how the caller stands now."""
    subject, limit = bucket
    now, step = clock.now(), limit.interval
    latest = limit.latest(now)
    tat = await _TAKE.value(db, p_subject=subject, p_first=now + step, p_now=now, p_step=step, p_latest=latest)
    if tat is not None:
        return True, limit.standing(tat, now)
    return False, limit.standing(await _STANDS.value(db, p_subject=subject) or now, now)


async def _give_back(db: Db, bucket: Bucket) -> None:
    subject, limit = bucket
    await _GIVE_BACK.one(db, p_subject=subject, p_step=limit.interval)


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
    """Let one call through the gate. Raises TooMany.

    The address pays first, so that a client who is out of tokens cannot use up an account's.
    """
    taken: list[Bucket] = [(f"{gate.name} address {address_of(door.request)}", gate.by_address)]
    if gate.by_account is not None and account is not None:
        subject = account.strip().replace("\x00", "")
        taken.append((f"{gate.name} account {subject}", gate.by_account))
    for each in taken:
        _judge(door.request, *await door.look(partial(_take, bucket=each)))
    yield
    if gate.forgiving:
        with suppress(Unavailable):  # what has succeeded has succeeded
            for each in taken:
                await door.look(partial(_give_back, bucket=each))


def general(request: Request, user: object | None) -> None:
    """Take a token of the general limit, of the user or else the address. Raises TooMany."""
    buckets: Buckets | None = request.app.state.buckets
    if buckets is not None:
        _judge(request, *buckets.take(user or address_of(request), clock.now()))
