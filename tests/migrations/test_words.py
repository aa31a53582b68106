"""The words of slots: those that are there get theirs when the table is made, and the trigger writes all others."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import asyncpg
from alembic import command

from backend.services import maintenance
from tests.checks import alembic_config
from tests.factories.scripts import Scripts
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
BEFORE = "guard_hold_end"
WORDS = "SELECT slot_id, word, points FROM slot_words ORDER BY slot_id, word"


async def test_slots_that_are_there_get_their_words(world: World, scripts: Scripts, sql: Sql, dsn: str) -> None:
    cleo = await world.creator()
    project = await scripts.project(cleo)
    scene = (await scripts.scenes(cleo, project))[1]
    named = await world.slot(cleo, project, sceneId=scene["id"], description="A lantern", constraints=["Nothing rusty"])
    gone = await world.slot(cleo, project, description="An anchor")
    ok(await cleo.delete(f"/slots/{gone['id']}"))
    written = await sql.fetch(WORDS)
    assert {(str(row["slot_id"]), row["word"], row["points"]) for row in written} == {
        (named["id"], word, points)
        for word, points in (
            ("a", 10), ("lantern", 10), ("scene", 4), ("1", 4), ("road", 2), ("nothing", 1), ("rusty", 1),
        )
    }  # fmt: skip
    await asyncio.to_thread(command.downgrade, alembic_config(dsn), BEFORE)
    assert await sql.fetchval("SELECT to_regclass('slot_words')") is None
    await asyncio.to_thread(maintenance.migrate, dsn)
    assert await sql.fetch(WORDS) == written
    await asyncio.to_thread(command.downgrade, alembic_config(dsn), "keep_words")
    await sql.execute("DELETE FROM slot_words WHERE word <> 'road'")  # as after a try that broke off
    await asyncio.to_thread(maintenance.migrate, dsn)
    assert await sql.fetch(WORDS) == written


async def test_a_word_stands_once_by_its_best_place_and_none_is_endless(world: World, sql: Sql) -> None:
    cleo = await world.creator()
    endless = "x" * 65
    await world.slot(
        cleo, sceneRef=f"Lantern {endless} {'y' * 64}", description="lantern-LANTERN", constraints=["Lantern"]
    )
    rows = await sql.fetch("SELECT word, points FROM slot_words ORDER BY word")
    assert [tuple(row) for row in rows] == [("lantern", 10), ("y" * 64, 4)]


async def test_a_change_of_something_else_writes_no_word(world: World, sql: Sql) -> None:
    """Changes of a slot that are about something else leave its words alone: no row is written anew."""
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo, description="A lantern")
    before = await sql.fetch("SELECT ctid, * FROM slot_words")
    ok(await cleo.patch(f"/slots/{slot['id']}", {"pricingFloor": 1200}))
    await world.committed(cleo, ada, slot)
    assert await sql.fetch("SELECT ctid, * FROM slot_words") == before
