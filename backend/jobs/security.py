"""The record of security: what was counted in memory is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from backend.core.database import Database
from backend.core.errors import Unavailable
from backend.core.tally import Tally
from backend.policies.security import Sighting
from backend.services import security


async def write_down(database: Database, tally: Tally[Sighting]) -> int:
    """Write what was counted since the last time; answers how many lines. What cannot be written waits for the next."""
    taken = tally.take()
    if not taken.counts and not taken.beyond:
        return 0
    try:
        return await database.change(lambda tx: security.write_down(tx, taken))
    except BaseException:
        tally.give_back(taken)
        raise


@asynccontextmanager
async def last(database: Database, tally: Tally[Sighting]) -> AsyncIterator[None]:
    """What is counted when the block ends is written then; a database that is away does not keep anyone waiting."""
    yield
    with suppress(Unavailable):
        await write_down(database, tally)
