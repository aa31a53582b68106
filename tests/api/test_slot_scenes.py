"""Slots and deals name the scene that they are about."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.scripts import DINER, Scripts
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Stage:
    """A creator, her script of three scenes, and a slot in the first of them."""

    def __init__(self, world: World, scripts: Scripts) -> None:
        self.world, self.scripts = world, scripts
        self.cleo: Person
        self.ada: Person
        self.project: dict[str, Any]
        self.slot: dict[str, Any]
        self.scenes: list[str]

    async def build(self) -> Stage:
        self.cleo, self.ada = await self.world.creator(), await self.world.advertiser()
        self.project = await self.scripts.project(self.cleo)
        self.scenes = [scene["id"] for scene in await self.scripts.scenes(self.cleo, self.project)]
        self.slot = await self.world.slot(self.cleo, self.project, sceneId=self.scenes[0])
        return self

    async def offer(self, bid: dict[str, Any], scene: str | None, version: int = 1, by: Person | None = None) -> Any:
        body = {"baseVersion": version, "sceneId": scene}
        return await (by or self.cleo).post(f"/bids/{bid['id']}/terms", body)

    async def now(self) -> dict[str, Any]:
        return ok(await self.cleo.get(f"/slots/{self.slot['id']}"))  # type: ignore[no-any-return]


@pytest.fixture
async def stage(world: World, scripts: Scripts) -> Stage:
    return await Stage(world, scripts).build()


async def test_a_slot_names_a_scene_of_the_current_draft(stage: Stage) -> None:
    assert (stage.slot["sceneId"], stage.slot["sceneStatus"]) == (stage.scenes[0], "current")
    assert stage.slot["sceneRef"] == "Scene 1", "what a person calls it stays free text"
    assert ok(await stage.ada.get(f"/slots/{stage.slot['id']}"))["sceneStatus"] == "current"
    plain = await stage.world.slot(stage.cleo, stage.project)
    assert (plain["sceneId"], plain["sceneStatus"]) == (None, None)
    for query, found in (
        ({"sceneId": stage.scenes[0]}, [stage.slot["id"]]),
        ({"sceneId": stage.scenes[1]}, []),
        ({"sceneStatus": "current"}, [stage.slot["id"]]),
        ({"sceneStatus": "omitted"}, []),
        ({"sceneStatus": ""}, [plain["id"], stage.slot["id"]]),
    ):
        assert [each["id"] for each in ok(await stage.cleo.get("/slots", params=query))] == found
    refused(await stage.cleo.get("/slots", params={"sceneStatus": "gone"}), 422)


async def test_the_scene_may_change_until_somebody_bids(stage: Stage) -> None:
    path = f"/slots/{stage.slot['id']}"
    changed = ok(await stage.cleo.patch(path, {"sceneId": stage.scenes[1]}))
    assert (changed["sceneId"], changed["sceneStatus"]) == (stage.scenes[1], "current")
    changed = ok(await stage.cleo.patch(path, {"sceneId": None}))
    assert (changed["sceneId"], changed["sceneStatus"]) == (None, None)
    bid = await stage.world.bid(stage.ada, stage.slot)
    refused(await stage.cleo.patch(path, {"sceneId": stage.scenes[1]}), 409, "slot_frozen")
    ok(await stage.ada.post(f"/bids/{bid['id']}/withdraw"))
    ok(await stage.cleo.patch(path, {"sceneId": stage.scenes[1]}))
    await stage.world.committed(stage.cleo, stage.ada, stage.slot)
    refused(await stage.cleo.patch(path, {"sceneId": stage.scenes[0]}), 409, "slot_sold")


async def test_a_scene_is_one_of_the_slots_project_and_of_its_current_draft(stage: Stage, world: World) -> None:
    rival = await world.creator()
    other = await stage.scripts.project(rival, DINER)
    [foreign] = await stage.scripts.scenes(rival, other)
    path = f"/slots/{stage.slot['id']}"
    for scene in (foreign["id"], str(uuid4())):
        refused(await stage.cleo.patch(path, {"sceneId": scene}), 422, "unknown_scene", "sceneId")
        body = {**_plain(stage.project), "sceneId": scene}
        refused(await stage.cleo.post("/slots", body), 422, "unknown_scene", "sceneId")
    refused(await stage.cleo.patch(path, {"sceneId": "the diner"}), 422, "invalid", "sceneId")
    await stage.scripts.draft(stage.cleo, stage.project, DINER, read=False)
    refused(await stage.cleo.patch(path, {"sceneId": stage.scenes[1]}), 422, "unknown_scene", "sceneId")
    assert (await stage.now())["sceneId"] == stage.scenes[0], "its scene is kept, though of the draft before"


def _plain(project: dict[str, Any]) -> dict[str, Any]:
    rest = {"sceneRef": "Scene 1", "pricingFloor": 10, "modality": "Private Auction", "visibility": "Public"}
    return {"projectId": project["id"], **rest}


async def test_a_bid_is_about_the_scene_of_its_slot(stage: Stage) -> None:
    bid = await stage.world.bid(stage.ada, stage.slot)
    assert (bid["sceneId"], bid["sceneStatus"]) == (stage.scenes[0], "current")
    [listed] = ok(await stage.ada.get("/bids"))
    assert (listed["sceneId"], listed["sceneStatus"]) == (stage.scenes[0], "current")
    [terms] = ok(await stage.ada.get(f"/bids/{bid['id']}/terms"))
    assert terms["sceneId"] == stage.scenes[0]
    plain = await stage.world.bid(stage.ada, await stage.world.slot(stage.cleo, stage.project))
    assert (plain["sceneId"], plain["sceneStatus"]) == (None, None)


async def test_the_creator_offers_another_scene_by_new_terms(stage: Stage) -> None:
    bid = await stage.world.bid(stage.ada, stage.slot)
    await stage.world.approve(stage.cleo, bid)
    offered = ok(await stage.offer(bid, stage.scenes[2]))
    assert (offered["sceneId"], offered["sceneStatus"], offered["status"]) == (stage.scenes[2], "current", "Pending")
    assert offered["approvals"] == {"creator": False, "buyer": False}
    # Terms that do not speak of the scene keep it.
    raised = ok(await stage.ada.post(f"/bids/{bid['id']}/terms", {"baseVersion": 2, "amount": 1700}))
    assert raised["sceneId"] == stage.scenes[2]
    versions = ok(await stage.ada.get(f"/bids/{bid['id']}/terms"))
    assert [each["sceneId"] for each in versions] == [stage.scenes[0], stage.scenes[2], stage.scenes[2]]
    assert (await stage.now())["sceneId"] == stage.scenes[0], "rivals bid on that one"


async def test_only_the_creator_offers_scenes_and_only_those_of_the_current_draft(stage: Stage, world: World) -> None:
    bid = await stage.world.bid(stage.ada, stage.slot)
    refused(await stage.offer(bid, stage.scenes[2], by=stage.ada), 422, "invalid", "sceneId")
    refused(await stage.offer(bid, None), 422, "invalid", "sceneId")
    refused(await stage.offer(bid, str(uuid4())), 422, "unknown_scene", "sceneId")
    refused(await stage.offer(bid, stage.scenes[2], version=7), 409, "terms_changed")
    refused(await stage.offer(bid, stage.scenes[2], by=await world.advertiser()), 404)
    await stage.world.approve(stage.cleo, bid)
    await stage.world.approve(stage.ada, bid)
    refused(await stage.offer(bid, stage.scenes[2]), 409, "wrong_state")
    seen = ok(await stage.ada.get(f"/bids/{bid['id']}"))
    assert (seen["termsVersion"], seen["sceneId"]) == (1, stage.scenes[0])


async def test_the_slot_follows_the_deal_once_it_is_committed(stage: Stage, world: World, sql: Sql) -> None:
    rival = await world.advertiser()
    other = await world.bid(rival, stage.slot)
    bid = await world.bid(stage.ada, stage.slot)
    ok(await stage.offer(bid, stage.scenes[2]))
    for person in (stage.cleo, stage.ada):
        await world.approve(person, bid)
    assert (await stage.now())["sceneId"] == stage.scenes[0], "the rival's bid can still come to life"
    assert ok(await rival.get(f"/bids/{other['id']}"))["sceneId"] == stage.scenes[0]
    ok(await stage.ada.post(f"/bids/{bid['id']}/commit"))
    sold = await stage.now()
    assert (sold["sceneId"], sold["sceneStatus"]) == (stage.scenes[2], "current")
    assert ok(await rival.get(f"/bids/{other['id']}"))["sceneId"] == stage.scenes[0], "it ended about that one"
    history = ok(await stage.ada.get(f"/bids/{bid['id']}/events"))
    [moved] = [each for each in history if each["action"] == "slot.scene_changed"]
    assert moved["data"] == {"sceneId": stage.scenes[2]}
    assert "slot.scene_changed" not in str(ok(await rival.get(f"/bids/{other['id']}/events")))
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'slot.scene_changed'") == 1


async def test_an_approval_of_terms_with_the_former_scene_comes_too_late(stage: Stage) -> None:
    """R3 with scenes: what both approved is one version, and it names one scene."""
    for _ in range(4):
        slot = await stage.world.slot(stage.cleo, stage.project, sceneId=stage.scenes[0])
        bid = await stage.world.bid(stage.ada, slot)
        await stage.world.approve(stage.cleo, bid)
        approve = stage.ada.post(f"/bids/{bid['id']}/approve", {"termsVersion": 1})
        approved, offered = await asyncio.gather(approve, stage.offer(bid, stage.scenes[1]))
        assert sorted((approved.status_code, offered.status_code)) == [200, 409]
        now = ok(await stage.ada.get(f"/bids/{bid['id']}"))
        if approved.is_success:
            assert (now["status"], now["sceneId"]) == ("Accepted", stage.scenes[0])
        else:
            assert (now["status"], now["sceneId"]) == ("Pending", stage.scenes[1])
