"""Sweeps: rows that have served are deleted, a bounded number at a time."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import bindparam, delete, select, tuple_

from backend.core import clock
from backend.core.database import Database
from backend.core.statements import Statement
from backend.models.idempotency import IdempotencyKey

BATCH = 1000

_OLD_KEYS = (
    select(IdempotencyKey.user_id, IdempotencyKey.key)
    .where(IdempotencyKey.created_at < bindparam("p_before"))
    .order_by(IdempotencyKey.created_at)
    .limit(bindparam("p_limit"))
    .with_for_update(skip_locked=True)
)
_SWEEP_KEYS = Statement(
    delete(IdempotencyKey)
    .where(tuple_(IdempotencyKey.user_id, IdempotencyKey.key).in_(_OLD_KEYS))
    .returning(IdempotencyKey.key)
)


async def sweep_keys(database: Database, *, limit: int = BATCH) -> int:
    """Delete up to `limit` idempotency keys older than `IDEMPOTENCY_KEYS_KEPT` seconds. Answers how many.

    Several processes may run this at once: a row that one of them has is left to it.
    """
    before = clock.now() - timedelta(seconds=database.settings.idempotency_keys_kept)
    return len(await database.change(lambda tx: _SWEEP_KEYS.rows(tx, p_before=before, p_limit=limit)))
