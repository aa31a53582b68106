"""Deadlines: what has run out is written as ended. Every guard and answer counts it as ended already."""

from __future__ import annotations

import structlog

from backend.core.config import Settings
from backend.core.database import Database
from backend.services import deals

BATCH = 200

log = structlog.get_logger()


async def expire_due(database: Database, *, limit: int = BATCH) -> int:
    """Write bids, holds, commit and confirm deadlines that have passed, on up to `limit` slots. Answers how many rows.

    One slot is one transaction. Several processes may run this at once: a slot that another one has is left to it, and
    what is written is not due any more. A slot that fails is logged and does not keep the others waiting.
    """
    async with database.reading() as db:
        slots = await deals.due(db, limit)
    written = 0
    for slot_id in slots:
        try:
            written += await database.change(lambda tx, slot_id=slot_id: deals.expire_slot(tx, slot_id))  # type: ignore[misc]
        except Exception:
            log.exception("deadline_failed", slot_id=str(slot_id))
    return written


async def expire_all(dsn: str, settings: Settings) -> int:
    """Write all that is due, from the command line. Answers how many rows."""
    total = 0
    async with Database.opened(dsn, settings) as database:
        while written := await expire_due(database):
            total += written
    return total
