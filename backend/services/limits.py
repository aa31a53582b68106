"""Rate limits that all processes share: their buckets in PostgreSQL, and forgetting the ones that are full again."""

from __future__ import annotations

from sqlalchemy import Interval, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from backend.core import clock
from backend.core.database import Database, Tx
from backend.core.limits import Limit, Standing
from backend.core.statements import Statement
from backend.models.limits import RateLimit

_FORGET = Statement(delete(RateLimit).where(RateLimit.tat < bindparam("p_now")).returning(RateLimit.key))
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


class PostgresBuckets:
    """The shared buckets, in PostgreSQL: one atomic upsert, committed by itself, moves a bucket on or leaves it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, subject: str, limit: Limit) -> tuple[bool, Standing]:
        """Take a token: whether there was one, and how the caller stands now."""
        now, step = clock.now(), limit.interval
        binds = {"p_first": now + step, "p_now": now, "p_step": step, "p_latest": limit.latest(now)}
        async with self._database.reading() as db:
            tat = await _TAKE.value(db, p_subject=subject, **binds)
            if tat is not None:
                return True, limit.standing(tat, now)
            return False, limit.standing(await _STANDS.value(db, p_subject=subject) or now, now)

    async def give_back(self, subject: str, limit: Limit) -> None:
        """Give a token back."""
        async with self._database.reading() as db:
            await _GIVE_BACK.one(db, p_subject=subject, p_step=limit.interval)


async def forget(tx: Tx) -> int:
    """Remove every bucket that is full: it says no more than its absence. Answers how many."""
    return len(await _FORGET.rows(tx, p_now=clock.now()))
