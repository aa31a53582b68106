"""Letting rivals line up: the harness holds a lock until all of them wait, then lets go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg

from tests.faults.arena import connected, until

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
EVERYTHING = "LOCK TABLE slots IN ACCESS EXCLUSIVE MODE"
SLOT = "SELECT FROM slots WHERE id = $1 FOR UPDATE"


@asynccontextmanager
async def held(dsn: str, lock: str, *arguments: Any) -> AsyncIterator[Connection]:
    """A lock that is held until the block ends. The connection tells how many wait."""
    async with connected(dsn) as holder, connected(dsn) as watcher:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(lock, *arguments)
        try:
            yield watcher
        finally:
            await transaction.rollback()


async def waiting(watcher: Connection) -> int:
    """How many connections to this database wait for a lock."""
    count = await watcher.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    assert isinstance(count, int)
    return count


async def line_up(
    watcher: Connection, calls: list[Coroutine[Any, Any, T]], *, by: int | None = None
) -> list[asyncio.Task[T]]:
    """Start the calls; answer when all of them wait (or `by` of them, when the pool lets no more in).

    They are started one after the other, so that the order of the line is the order of the list.
    """
    tasks: list[asyncio.Task[T]] = []
    for number, call in enumerate(calls, 1):
        tasks.append(asyncio.create_task(call))
        if by is None:
            await until(lambda at_least=number: _wait(watcher, at_least), 20, f"call {number} does not wait")
    if by is not None:
        await until(lambda: _wait(watcher, by), 20, f"{by} calls do not wait")
    return tasks


async def _wait(watcher: Connection, count: int) -> bool:
    return await waiting(watcher) >= count
