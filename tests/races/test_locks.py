"""Locks are taken in one order everywhere: user, project, slots by id, bids by id, commitment (deals.md)."""

from __future__ import annotations

import asyncio

from tests.factories.refusals import refused
from tests.factories.world import World, ok
from tests.faults import invariants
from tests.races.queues import SLOT, held, line_up


async def test_deleting_a_project_gives_way_to_a_commit_without_a_deadlock(world: World, dsn: str) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    bid = await world.accepted(creator, buyer)
    project = bid["slot"]["project"]["id"]
    async with held(dsn, SLOT, bid["slotId"]) as watcher:
        calls = [buyer.post(f"/bids/{bid['id']}/commit"), creator.delete(f"/projects/{project}")]
        tasks = await line_up(watcher, calls)
    committed, deleted = await asyncio.gather(*tasks)
    assert ok(committed)["bidStatus"] == "Committed"
    refused(deleted, 409, "slot_held")
    await invariants.must_hold(dsn)


async def test_deleting_a_project_gives_way_to_the_second_approval_without_a_deadlock(world: World, dsn: str) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    bid = await world.bid(buyer, await world.slot(creator))
    await world.approve(buyer, bid)
    project = bid["slot"]["project"]["id"]
    async with held(dsn, SLOT, bid["slotId"]) as watcher:
        calls = [creator.post(f"/bids/{bid['id']}/approve"), creator.delete(f"/projects/{project}")]
        tasks = await line_up(watcher, calls)
    approved, deleted = await asyncio.gather(*tasks)
    assert ok(approved)["status"] == "Accepted"
    refused(deleted, 409, "slot_held")
    await invariants.must_hold(dsn)


async def test_a_slot_is_not_added_to_a_project_that_is_being_deleted(world: World, dsn: str) -> None:
    creator = await world.creator()
    project = await world.project(creator)
    slot = await world.slot(creator, project)
    new = {
        "projectId": project["id"],
        "sceneRef": "Scene 2",
        "pricingFloor": 1,
        "modality": "Private Auction",
        "visibility": "Public",
    }
    async with held(dsn, SLOT, slot["id"]) as watcher:
        tasks = await line_up(watcher, [creator.delete(f"/projects/{project['id']}"), creator.post("/slots", new)])
    deleted, added = await asyncio.gather(*tasks)
    assert deleted.status_code == 204
    refused(added, 422, "unknown_project")
