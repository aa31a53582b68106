"""Faults with the guards against them taken away: the promises' own measures see it.

Run by `python -m tests.faults unguarded`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from backend.core import database as core
from backend.core.database import Database, Tx
from backend.integrations.postgres import embedded_postgres
from tests.commands.running import data_folder, serving
from tests.factories.world import World
from tests.faults import kills, vanishing
from tests.faults.arena import SECRET, Arena, small_arena
from tests.faults.servers import TWO_WORKERS, two_workers
from tests.faults.test_commits import RAISE_AT_COMMIT
from tests.faults.wire import Unanswered

NOT_DURABLE = (
    "ALTER SYSTEM SET synchronous_commit = off",
    "ALTER SYSTEM SET wal_writer_delay = '10s'",
    "SELECT pg_reload_conf()",
)
pytestmark = pytest.mark.timeout(300)


def test_r6_without_waiting_for_the_disk_a_killed_postgresql_loses_what_it_acknowledged() -> None:
    with data_folder() as folder, two_workers(folder) as (server, dsn):
        fight = kills.under_fire(server, folder, dsn, 4, postgres=True, settings=NOT_DURABLE)
        with pytest.raises(AssertionError, match="acknowledged changes are not there"):
            asyncio.run(fight)


def test_r12_a_kill_instead_of_a_stop_leaves_changes_without_their_answer() -> None:
    with data_folder() as folder, embedded_postgres(folder) as dsn:
        assert any(_killed(folder / str(number), dsn) for number in range(10))  # who is hit when is chance


def _killed(home: Path, dsn: str) -> bool:
    """Whether a change was made by a server that was killed, and not answered."""
    home.mkdir()
    with serving(home, *TWO_WORKERS, port=None, DATABASE_URL=dsn, JWT_SECRET=SECRET) as server:
        notes = kills.Notes(home / "acknowledged")
        notes.log.touch()
        try:
            asyncio.run(kills.stopped(server, Arena(dsn, [server.url]), notes, how=signal.SIGKILL))
        except AssertionError as error:
            return "not answered" in str(error)
    return False


def test_r12_without_a_limit_on_bodies_a_large_one_takes_memory() -> None:
    size, growth = 60 * 1024 * 1024, {}
    for limit in ("1024", "65536"):
        with data_folder() as folder, two_workers(folder, MAX_BODY_KB=limit) as (server, dsn):
            arena = asyncio.run(small_arena(dsn, [server.url], buyers=1, slots=1))
            pids = kills.workers(server)
            before = {pid: vanishing.memory(pid) for pid in pids}
            asyncio.run(_send(arena, size))
            growth[limit] = max(vanishing.memory(pid) - before[pid] for pid in pids)
            assert server.stop() == 0
    assert growth["1024"] < vanishing.MOST_GROWTH_KB < growth["65536"]


async def _send(arena: Arena, size: int) -> None:
    with suppress(Unanswered):  # it was cut off, and was sending too fast to hear why
        await vanishing.huge_body(arena, size, announced=True)


async def test_r7_an_answer_before_the_commit_promises_what_is_not_there(
    world: World, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql.execute(RAISE_AT_COMMIT)
    creator, buyer = await world.creator(), await world.advertiser()
    path = f"/bids/{(await world.bid(buyer, await world.slot(creator)))['id']}/comments"
    commits: list[asyncio.Task[None]] = []

    async def answers_first(self: Database, work: Callable[[Tx], Awaitable[Any]]) -> Any:
        connection = await self._pool.acquire()
        transaction = connection.transaction()
        await transaction.start()
        result = await work(Tx(connection, self.settings))

        async def commit() -> None:
            await asyncio.sleep(0.01)
            try:
                await transaction.commit()
            finally:
                await self._pool.release(connection)

        commits.append(asyncio.create_task(commit()))
        return result

    monkeypatch.setattr(Database, "change", answers_first)
    answer = await buyer.post(path, {"text": "fail at commit"})
    assert answer.status_code == 201, "a 2xx …"
    await asyncio.wait(commits)
    assert isinstance(commits[0].exception(), asyncpg.PostgresError)
    assert await sql.fetchval("SELECT count(*) FROM comments WHERE text = 'fail at commit'") == 0, "… for nothing"


@pytest.mark.parametrize("guarded", [True, False])
async def test_r5_without_a_transaction_of_its_own_a_request_that_breaks_off_leaves_a_half(
    world: World, sql: Any, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    async def autocommit(self: Database, work: Callable[[Tx], Awaitable[Any]]) -> Any:
        async with core._Borrowed(self) as connection:
            return await work(Tx(connection, self.settings))

    async def breaks_off(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError

    merchant = await world.merchant()
    if not guarded:
        monkeypatch.setattr(Database, "change", autocommit)
    monkeypatch.setattr("backend.services.skus.events.record", breaks_off)
    answer = await merchant.post("/skus", {"title": "Thermos", "price": 39.9, "margin": 40})
    assert answer.status_code == 503
    assert await sql.fetchval("SELECT count(*) FROM skus") == (0 if guarded else 1)


@pytest.mark.parametrize("guarded", [True, False])
async def test_r6_a_lost_connection_is_503_because_it_is_known_for_what_it_is(
    world: World, sql: Any, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    ada = await world.advertiser()
    if not guarded:
        monkeypatch.setattr(core, "_GONE", (ZeroDivisionError,))
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'backdrop'"
    statuses = set()
    for _ in range(5):
        await sql.execute(f"{end} AND datname = current_database()")
        statuses.add((await ada.patch("/auth/me", {"name": "Ada"})).status_code)
    assert statuses <= ({200, 503} if guarded else {200, 500})
    assert statuses != {200}
