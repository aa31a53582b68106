"""A script is read into scenes after its upload, for its owner and operators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from backend.core.database import Database
from backend.integrations.storage import Storage
from backend.jobs.scripts import read_due
from tests.factories.pages import Put, make_pdf
from tests.factories.world import World, ok

SCRIPT = b"""Title: Night Train

INT. NIGHT TRAIN - DINING CAR - CONTINUOUS #12#

A steward wipes a table. On it: a dented steel THERMOS.

MARA (V.O.)
Just pour.

EXT. FIELD - LATER

She runs.
"""


async def test_a_new_script_is_processing_then_ready_with_its_scenes(
    world: World, database: Database, storage: Storage
) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, SCRIPT)
    assert (project["scriptStatus"], project["scriptStatusReason"]) == ("processing", None)
    assert ok(await cleo.get(f"/projects/{project['id']}/scenes")) == []

    assert await read_due(database, storage) == 1
    assert await read_due(database, storage) == 0
    assert ok(await cleo.get(f"/projects/{project['id']}"))["scriptStatus"] == "ready"
    scenes = ok(await cleo.get(f"/projects/{project['id']}/scenes"))
    assert [scene["heading"] for scene in scenes] == [
        "INT. NIGHT TRAIN - DINING CAR - CONTINUOUS",
        "EXT. FIELD - LATER",
    ]
    first = scenes[0]
    assert (first["number"], first["setting"], first["location"], first["timeOfDay"], first["page"]) == (
        "12",
        "INT",
        "NIGHT TRAIN - DINING CAR",
        "CONTINUOUS",
        1,
    )
    assert first["characters"] == ["MARA"]
    assert "THERMOS" in first["excerpt"]
    assert ok(await (await world.operator()).get(f"/projects/{project['id']}/scenes")) == scenes


@pytest.mark.parametrize(
    ("content", "name", "reason"),
    [
        (make_pdf([]), "scan.pdf", "no text"),
        (b"Dear reader, this is a letter.", "letter.fountain", "No scene headings"),
    ],
)
async def test_what_cannot_be_read_says_why_to_its_owner_alone(
    world: World, database: Database, storage: Storage, content: bytes, name: str, reason: str
) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo, content, name)
    await world.slot(cleo, project)
    await read_due(database, storage)
    mine = ok(await cleo.get(f"/projects/{project['id']}"))
    assert mine["scriptStatus"] == "unreadable"
    assert reason in mine["scriptStatusReason"]
    assert ok(await ada.get(f"/projects/{project['id']}"))["scriptStatusReason"] is None


async def test_a_new_draft_is_read_anew_and_its_scenes_take_the_place_of_the_old(
    world: World, database: Database, storage: Storage
) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, SCRIPT)
    await read_due(database, storage)
    page = make_pdf([Put(0, 108, 120, "INT. OFFICE - DAY"), Put(0, 108, 144, "A desk.")])
    ok(await cleo.put(f"/projects/{project['id']}/script", files={"file": ("second.pdf", page)}))
    assert ok(await cleo.get(f"/projects/{project['id']}"))["scriptStatus"] == "processing"
    await read_due(database, storage)
    scenes = ok(await cleo.get(f"/projects/{project['id']}/scenes"))
    assert [scene["heading"] for scene in scenes] == ["INT. OFFICE - DAY"]


async def test_two_workers_read_each_draft_once(world: World, database: Database, storage: Storage) -> None:
    cleo = await world.creator()
    for _ in range(4):
        await world.project(cleo, SCRIPT)
    assert sum(await asyncio.gather(read_due(database, storage), read_due(database, storage))) == 4
    for project in ok(await cleo.get("/projects")):
        assert len(ok(await cleo.get(f"/projects/{project['id']}/scenes"))) == 2


async def test_a_worker_that_vanished_is_followed_by_another_and_three_tries_are_enough(
    world: World, database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, SCRIPT)

    async def vanish(content: AsyncIterator[bytes], extension: str) -> list[object]:
        raise RuntimeError("killed")

    monkeypatch.setattr("backend.jobs.scripts.read_in_child", vanish)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await read_due(database, storage)
        assert await read_due(database, storage) == 0, "leased to the one that vanished"
        world.advance(minutes=3)
    assert await read_due(database, storage) == 1
    mine = ok(await cleo.get(f"/projects/{project['id']}"))
    assert (mine["scriptStatus"], mine["scriptStatusReason"]) == (
        "unreadable",
        "This file could not be read in several tries.",
    )


async def test_a_buyer_never_reads_scenes_and_a_stranger_sees_nothing(world: World) -> None:
    cleo, ada, other = await world.creator(), await world.advertiser(), await world.creator()
    project = await world.project(cleo, SCRIPT)
    await world.slot(cleo, project)
    path = f"/projects/{project['id']}/scenes"
    assert (await world.nobody.get(path)).status_code == 401
    assert (await ada.get(path)).status_code == 403
    assert (await other.get(path)).status_code == 404
    assert (await cleo.get("/projects/not-an-id/scenes")).status_code == 404
