"""Rate limits: forgetting the buckets that are full again."""

from __future__ import annotations

from sqlalchemy import bindparam, delete

from backend.core import clock
from backend.core.database import Tx
from backend.core.statements import Statement
from backend.models.limits import RateLimit

_FORGET = Statement(delete(RateLimit).where(RateLimit.tat < bindparam("p_now")).returning(RateLimit.key))


async def forget(tx: Tx) -> int:
    """Remove every bucket that is full: it says no more than its absence. Answers how many."""
    return len(await _FORGET.rows(tx, p_now=clock.now()))
