"""Reading scripts into scenes: one draft at a time, in a process of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

import structlog

from backend.core.database import Database, Tx
from backend.core.errors import NotFound, Unavailable
from backend.integrations.screenplays import UnreadableError
from backend.integrations.screenplays.child import read_in_child
from backend.integrations.storage import Files
from backend.services import drafts, scenes
from backend.services.scenes import MOST_ATTEMPTS, Claimed

log = structlog.get_logger()


async def read_due(database: Database, files: Files) -> int:
    """Read every draft that waits; several processes at once take each its own. Answers how many were read.

    No connection is held while a file is read.
    """
    count = 0
    while (claimed := await database.change(scenes.claim)) is not None:
        await _read(database, files, claimed)
        count += 1
    return count


async def _read(database: Database, files: Files, claimed: Claimed) -> None:
    """Raises what keeps the file from being fetched; the lease then runs out and another try follows."""
    found: list[dict[str, Any]] = []
    reason = None
    if claimed.attempts >= MOST_ATTEMPTS:
        reason = "This file could not be read in several tries."
    else:
        try:
            content = await files.get(claimed.storage_key)
            found = await read_in_child(content, PurePosixPath(claimed.file_name.lower()).suffix)
        except UnreadableError as error:
            reason = str(error)
        except NotFound:
            reason = "The file is missing from storage."
    await _finish(database, claimed, found, reason)
    log.info("script_read", project_id=str(claimed.project_id), draft=claimed.draft_number, scenes=len(found))


async def _finish(database: Database, claimed: Claimed, found: list[dict[str, Any]], reason: str | None) -> None:
    """Keep what was read. Who holds the lock of a slot for long is waited for a little: reading anew would not help."""

    async def work(tx: Tx) -> None:
        await drafts.finish(tx, claimed, found, reason)

    for _ in range(2):
        with suppress(Unavailable):
            return await database.change(work)
        await asyncio.sleep(1)
    return await database.change(work)
