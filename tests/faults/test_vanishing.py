"""R8 and R12, the short form."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.commands.running import serving
from tests.faults import kills, vanishing
from tests.faults.arena import SECRET, Arena, connected, small_arena
from tests.faults.servers import TWO_WORKERS, Pair
from tests.faults.wire import Unanswered

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc"),
]
SLACK = 5  # for a machine that runs other tests beside this one


async def test_clients_that_vanish_leave_nothing_half_made_and_no_connection_behind(pair: Pair) -> None:
    arena = await small_arena(pair.dsn, pair.urls, buyers=8, slots=8)
    async with vanishing.Watch(pair.dsn) as watch:
        await vanishing.vanish(arena, 200)
        await vanishing.calm(arena, vanishing.CALM_SECONDS * SLACK)
    assert 0 < watch.oldest < vanishing.CALM_SECONDS, "a transaction stays open"
    await vanishing.nothing_half_made(arena)


async def test_connections_that_the_database_ends_are_replaced(arena: Arena) -> None:
    end = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'backdrop'"
    )
    statuses = []
    async with arena.wire(arena.buyers[0]) as wire, connected(arena.dsn) as connection:
        for _ in range(5):
            assert (await wire.call("GET", "/auth/me")).status == 200
            assert await connection.fetchval(end) >= 1
            for _ in range(4):
                statuses.append((await wire.call("GET", "/auth/me")).status)
                await asyncio.sleep(0.02)
    assert set(statuses) <= {200, 503}, statuses
    assert statuses[-1] == 200


async def test_slow_clients_and_huge_bodies_hurt_nobody_else(pair: Pair, arena: Arena) -> None:
    slowest = await vanishing.slow_clients(arena, 100, seconds=1)
    assert slowest < vanishing.HEALTH_SECONDS * SLACK
    before = vanishing.memory(pair.servers[0].process.pid)
    for announced in (True, False):
        try:
            status, _ = await vanishing.huge_body(arena, 64 * 1024 * 1024, announced=announced)
        except Unanswered:
            continue  # it was cut off, and was sending too fast to hear why
        assert status == 413
    assert vanishing.memory(pair.servers[0].process.pid) - before < vanishing.MOST_GROWTH_KB


async def test_sigterm_under_load_leaves_no_change_unanswered(dsn: str, tmp_path: Path) -> None:
    with serving(tmp_path, *TWO_WORKERS, port=None, DATABASE_URL=dsn, JWT_SECRET=SECRET) as server:
        notes = kills.Notes(tmp_path / "acknowledged")
        notes.log.touch()
        assert await kills.stopped(server, Arena(dsn, [server.url]), notes) < 15
    assert notes.acknowledged > 0
