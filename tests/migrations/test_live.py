"""R13: migrations of a database with data in it, under traffic; and keys that never take history along."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Self, TypeAlias

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from backend.services import maintenance
from tests.checks import alembic_config, schema_of
from tests.factories.world import World, ok
from tests.faults import invariants
from tests.faults.arena import connected
from tests.races.queues import held

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
BEFORE = "guard_deals"  # the first tables with their guards; everything after it is taken back and made again
LONGEST_WAIT = 2.0
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


class Traffic:
    """Reads and writes of the tables of deals while the block lasts; `slowest` is the longest that one took."""

    STATEMENTS = (
        "SELECT count(*) FROM bids JOIN slots ON slots.id = bids.slot_id",
        "SELECT count(*) FROM users JOIN projects ON projects.creator_id = users.id",
        "UPDATE slots SET scene_ref = scene_ref",
        "UPDATE users SET name = name",
        "UPDATE bids SET updated_at = updated_at WHERE status <> 'Declined'",
    )

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._stop = asyncio.Event()
        self.slowest = 0.0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(traffic(self._dsn, self._stop, each)) for each in self.STATEMENTS]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        self.slowest = max(await asyncio.gather(*self._tasks))


async def test_data_survives_the_way_back_and_the_way_forth_under_traffic(world: World, sql: Sql, dsn: str) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    commitment = await world.committed(creator, buyer)
    await world.bid(buyer, await world.slot(creator))
    before, schema = await sql.fetchrow(ROWS), await asyncio.to_thread(schema_of, dsn)
    async with Traffic(dsn) as seen:
        await in_thread(command.downgrade, alembic_config(dsn), BEFORE)
        assert await sql.fetchrow(ROWS) == before
        await in_thread(maintenance.migrate, dsn)
    assert seen.slowest < LONGEST_WAIT
    assert await asyncio.to_thread(schema_of, dsn) == schema
    assert await sql.fetchrow(ROWS) == before
    assert await invariants.violations(sql) == {}
    ok(await creator.post(f"/commitments/{commitment['id']}/deliver", {"note": "It is there."}))


BEFORE_ALTERING = "create_mails"  # what follows alters the tables of deals, for which it must have them to itself
LOCKED = "LOCK TABLE bids, slots, users, commitments IN ROW EXCLUSIVE MODE"


async def migrated_against_a_lock(dsn: str, seconds: float) -> tuple[BaseException | None, float]:
    """Migrate while someone holds the tables so long; what became of it, and how long the traffic waited."""
    async with Traffic(dsn) as seen:
        async with held(dsn, LOCKED):
            migrating = asyncio.create_task(in_thread(maintenance.migrate, dsn))
            await asyncio.sleep(seconds)
        [outcome] = await asyncio.gather(migrating, return_exceptions=True)
    return outcome, seen.slowest


async def test_a_migration_that_cannot_have_its_lock_fails_and_can_be_run_again(
    world: World, sql: Sql, dsn: str
) -> None:
    await world.committed(await world.creator(), await world.advertiser())
    await in_thread(command.downgrade, alembic_config(dsn), BEFORE_ALTERING)
    outcome, waited = await migrated_against_a_lock(dsn, 1.5)
    assert "lock timeout" in repr(outcome), repr(outcome)
    assert waited < LONGEST_WAIT
    at = await sql.fetchval("SELECT version_num FROM alembic_version")
    script = ScriptDirectory.from_config(alembic_config(dsn))
    assert at in {each.revision for each in script.walk_revisions(BEFORE_ALTERING, "heads")}, "a whole step"
    assert at != script.get_current_head()
    await in_thread(maintenance.migrate, dsn)
    assert await sql.fetchval("SELECT version_num FROM alembic_version") == script.get_current_head()
    assert await invariants.violations(sql) == {}


async def test_without_a_limit_to_its_waiting_the_traffic_would_wait_behind_it(
    world: World, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.committed(await world.creator(), await world.advertiser())
    await in_thread(command.downgrade, alembic_config(dsn), BEFORE_ALTERING)
    execute = Connection.execute

    def without_limit(self: Connection, statement: Any, *more: Any, **named: Any) -> Any:
        if "lock_timeout" in str(statement):
            statement = text("SELECT 1")
        return execute(self, statement, *more, **named)

    monkeypatch.setattr(Connection, "execute", without_limit)
    _, waited = await migrated_against_a_lock(dsn, LONGEST_WAIT + 0.5)
    assert waited > LONGEST_WAIT


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
