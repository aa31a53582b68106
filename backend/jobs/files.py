"""Files that nobody names are deleted.

A file is stored before the row that names it is committed. What a day later no row names was left by a process that was
killed in between, or by an upload that broke off.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from backend.core import clock
from backend.core.database import Database
from backend.integrations.storage import Files
from backend.services import files

BATCH = 1000
ORPHANS_KEPT = timedelta(days=1)

log = structlog.get_logger()


async def sweep(database: Database, storage: Files, *, limit: int = BATCH) -> int:
    """Delete up to `limit` files that no row names and that are older than a day. Answers how many."""
    keys = await storage.stored(clock.now() - ORPHANS_KEPT)
    swept = 0
    for start in range(0, len(keys), BATCH):
        async with database.reading() as db:
            orphans = await files.orphans(db, keys[start : start + BATCH])
        for key in orphans[: limit - swept]:
            await storage.delete(key)
            swept += 1
    if swept:
        log.info("files_swept", count=swept)
    return swept
