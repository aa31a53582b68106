"""R13: migrations of a database with data in it, under traffic; and keys that never take history along."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest
from alembic import command

from backend.services import maintenance
from tests.checks import alembic_config, schema_of
from tests.factories.world import World, ok
from tests.faults import invariants
from tests.faults.arena import connected
from tests.races.queues import held

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
BEFORE = "guard_deals"  # the first tables with their guards; everything after it is taken back and made again
LONGEST_WAIT = 2.0
SLACK = 1.5  # for a machine that runs other tests beside this one
ROWS = "SELECT (SELECT count(*) FROM bids), (SELECT count(*) FROM events), (SELECT sum(amount) FROM commitments)"


async def in_thread(function: object, *arguments: object) -> None:
    await asyncio.to_thread(function, *arguments)  # type: ignore[arg-type]


async def traffic(dsn: str, stop: asyncio.Event, statement: str) -> float:
    """Run a statement again and again; answers the longest that it took."""
    slowest = 0.0
    async with connected(dsn) as connection:
        while not stop.is_set():
            started = time.monotonic()
            await connection.execute(statement)
            slowest = max(slowest, time.monotonic() - started)
            await asyncio.sleep(0.005)
    return slowest


@contextlib.asynccontextmanager
async def under_traffic(dsn: str) -> AsyncIterator[None]:
    """Reads and writes of the tables of deals while the block lasts; none may wait longer than migrations let them."""
    stop = asyncio.Event()
    statements = (
        "SELECT count(*) FROM bids JOIN slots ON slots.id = bids.slot_id",
        "SELECT count(*) FROM users JOIN projects ON projects.creator_id = users.id",
        "UPDATE slots SET scene_ref = scene_ref",
        "UPDATE users SET name = name",
        "UPDATE bids SET updated_at = updated_at WHERE status <> 'Declined'",
    )
    tasks = [asyncio.create_task(traffic(dsn, stop, statement)) for statement in statements]
    yield
    stop.set()
    slowest = max(await asyncio.gather(*tasks))
    assert slowest < LONGEST_WAIT + SLACK, f"a statement waited {slowest:.1f} s"


async def test_data_survives_the_way_back_and_the_way_forth_under_traffic(world: World, sql: Sql, dsn: str) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    commitment = await world.committed(creator, buyer)
    await world.bid(buyer, await world.slot(creator))
    before, schema = await sql.fetchrow(ROWS), await asyncio.to_thread(schema_of, dsn)
    async with under_traffic(dsn):
        await in_thread(command.downgrade, alembic_config(dsn), BEFORE)
        assert await sql.fetchrow(ROWS) == before
        await in_thread(maintenance.migrate, dsn)
    assert await asyncio.to_thread(schema_of, dsn) == schema
    assert await sql.fetchrow(ROWS) == before
    assert await invariants.violations(sql) == {}
    ok(await creator.post(f"/commitments/{commitment['id']}/deliver", {"note": "It is there."}))


async def test_a_migration_that_cannot_have_its_lock_gives_way_and_can_be_run_again(
    world: World, sql: Sql, dsn: str
) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    await world.committed(creator, buyer)
    await in_thread(command.downgrade, alembic_config(dsn), BEFORE)
    async with under_traffic(dsn):
        async with held(dsn, "LOCK TABLE bids, slots, users, commitments IN ROW EXCLUSIVE MODE"):
            with contextlib.suppress(Exception):
                started = time.monotonic()
                await in_thread(maintenance.migrate, dsn)
        assert time.monotonic() - started < 15
    await in_thread(maintenance.migrate, dsn)
    assert await invariants.violations(sql) == {}


async def test_no_key_takes_money_or_history_along(sql: Sql) -> None:
    rows = await sql.fetch(
        "SELECT conrelid::regclass::text AS of, conname, confdeltype, confupdtype FROM pg_constraint"
        " WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    )
    assert len(rows) > 20
    money_and_history = {
        "users", "projects", "drafts", "slots", "skus", "bids", "terms", "terms_skus", "approvals", "comments",
        "commitments", "events", "idempotency_keys",
    }  # fmt: skip
    for row in rows:
        if row["of"] in money_and_history:
            assert row["confdeltype"] in (b"a", b"r"), f"{row['conname']} deletes or blanks rows of {row['of']}"
            assert row["confupdtype"] in (b"a", b"r"), row["conname"]


@pytest.mark.parametrize("table", ["bids", "commitments", "events", "users"])
async def test_what_history_points_at_cannot_be_deleted(world: World, sql: Sql, table: str) -> None:
    await world.committed(await world.creator(), await world.advertiser())
    with pytest.raises((asyncpg.ForeignKeyViolationError, asyncpg.CheckViolationError, asyncpg.RestrictViolationError)):
        await sql.execute(f"DELETE FROM {table}")
