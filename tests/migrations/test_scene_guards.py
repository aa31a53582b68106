"""Scenes inside PostgreSQL: what slots, bids and terms may name, tried by SQL."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg
import pytest

from tests.factories.scripts import DINER, FIRST, Scripts
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# What is tried with a bid (or its slot) and a scene of another project, and the guard that is meant to refuse it.
BAD = {
    "a slot about a foreign scene": (
        "UPDATE slots SET scene_id = '{foreign}' WHERE id = (SELECT slot_id FROM bids WHERE id = '{bid}')",
        "fk_slots_scene",
    ),
    "a bid about a foreign scene": (
        "UPDATE bids SET scene_id = '{foreign}' WHERE id = '{bid}'",
        "scene_of_the_project",
    ),
    "terms about a foreign scene": (
        "INSERT INTO terms (bid_id, version, side, author_id, floor, amount, amount_terms, objective, created_at,"
        " scene_id) SELECT bid_id, 2, side, author_id, floor, amount, amount_terms, objective, now(), '{foreign}'"
        " FROM terms WHERE bid_id = '{bid}'",
        "scene_of_the_project",
    ),
    "a scene without its status": (
        "UPDATE slots SET scene_status = NULL WHERE id = (SELECT slot_id FROM bids WHERE id = '{bid}')",
        "ck_slots_scene_has_status",
    ),
    "a bid's scene without its status": (
        "UPDATE bids SET scene_status = NULL WHERE id = '{bid}'",
        "ck_bids_scene_has_status",
    ),
    "a status that there is not": (
        "UPDATE bids SET scene_status = 'lost' WHERE id = '{bid}'",
        "ck_bids_scene_status_known",
    ),
    "a scene that changes": (
        "UPDATE scenes SET heading = 'INT. ELSEWHERE'",
        "append_only",
    ),
    "a scene that goes": ("DELETE FROM scenes WHERE id = '{foreign}'", "append_only"),
}


@pytest.fixture
async def ids(world: World, scripts: Scripts) -> tuple[str, str]:
    """A bid on a slot with a scene, and a scene of another project."""
    cleo, other, ada = await world.creator(), await world.creator(), await world.advertiser()
    project, elsewhere = await scripts.project(cleo, FIRST), await scripts.project(other, DINER)
    scene, foreign = (await scripts.scenes(cleo, project))[0], (await scripts.scenes(other, elsewhere))[0]
    bid = await world.bid(ada, await world.slot(cleo, project, sceneId=scene["id"]))
    return bid["id"], foreign["id"]


@pytest.mark.parametrize("name", BAD)
async def test_bad_scenes_are_refused_by_their_guard(name: str, ids: tuple[str, str], sql: Sql) -> None:
    statement, guard = BAD[name]
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as error:
        await sql.execute(statement.format(bid=ids[0], foreign=ids[1]))
    assert error.value.constraint_name == guard


async def test_scenes_of_former_drafts_are_kept(world: World, scripts: Scripts, sql: Sql) -> None:
    cleo = await world.creator()
    project = await scripts.project(cleo, FIRST)
    before = {scene["id"] for scene in await scripts.scenes(cleo, project)}
    await scripts.draft(cleo, project, DINER)
    ok(await cleo.delete(f"/projects/{project['id']}"))
    assert before < {str(row["id"]) for row in await sql.fetch("SELECT id FROM scenes")}
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await sql.execute("TRUNCATE scenes CASCADE")
