"""A new draft is read while its slots are bid on, negotiated, edited and sold: nothing stays behind on the old one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import asyncpg
import httpx2
import pytest

from backend.core.database import Database
from tests.factories.people import Person
from tests.factories.scripts import FIRST, Scripts
from tests.factories.world import World, ok
from tests.faults import invariants
from tests.races.queues import SLOT, held, line_up

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
LEFT_BEHIND = """
    SELECT count(*) FROM (
        SELECT scene_id, scene_status FROM slots WHERE scene_id IS NOT NULL
        UNION ALL SELECT scene_id, scene_status FROM bids WHERE scene_id IS NOT NULL AND status <> 'Declined'
    ) AS named JOIN scenes ON scenes.id = scene_id
    WHERE (scene_status = 'current') <> (draft_number = (SELECT max(draft_number) FROM readings WHERE status = 'ready'))
"""
Call: TypeAlias = Callable[[], Coroutine[Any, Any, Any]]


class Contest:
    """One slot in the first scene of a script whose next draft waits to be read, with a bid on it."""

    def __init__(self, world: World, scripts: Scripts) -> None:
        self.world, self.scripts = world, scripts
        self.people: dict[str, Person] = {}

    async def build(self, content: bytes) -> Contest:
        self.cleo, self.ada, self.bo = (
            await self.world.creator(),
            await self.world.advertiser(),
            await self.world.advertiser(),
        )
        self.project = await self.scripts.project(self.cleo, FIRST)
        self.scenes = [each["id"] for each in await self.scripts.scenes(self.cleo, self.project)]
        self.slot = await self.world.slot(self.cleo, self.project, sceneId=self.scenes[0])
        self.plain = await self.world.slot(self.cleo, self.project, sceneId=self.scenes[0])
        self.bid = await self.world.bid(self.ada, self.slot)
        self.next = content
        return self

    async def draft(self) -> None:
        await self.scripts.draft(self.cleo, self.project, self.next, read=False)

    def calls(self) -> dict[str, Call]:
        """What may happen meanwhile."""
        bid, slot = self.bid["id"], self.slot["id"]
        offer = {"baseVersion": 1, "sceneId": self.scenes[1]}
        return {
            "place": lambda: self.bo.post(f"/slots/{slot}/bids", {"amount": 2000, "objective": "Awareness"}),
            "approve": lambda: self.cleo.post(f"/bids/{bid}/approve"),
            "terms": lambda: self.ada.post(f"/bids/{bid}/terms", {"baseVersion": 1, "amount": 1800}),
            "offer": lambda: self.cleo.post(f"/bids/{bid}/terms", offer),
            "withdraw": lambda: self.ada.post(f"/bids/{bid}/withdraw"),
        }


@pytest.mark.parametrize("first", [True, False], ids=["the draft first", "the draft second"])
@pytest.mark.parametrize("name", ["place", "approve", "terms", "offer", "withdraw"])
async def test_in_either_order_everything_stands_where_the_draft_put_it(
    world: World, scripts: Scripts, sql: Sql, dsn: str, name: str, first: bool
) -> None:
    contest = await Contest(world, scripts).build(FIRST)
    # The draft is there and waits for its reading, except where the call is to come before it altogether.
    await contest.draft()
    async with held(dsn, SLOT, contest.slot["id"]) as watcher:
        pair = [scripts.read(), contest.calls()[name]()]
        tasks: list[asyncio.Task[Any]] = await line_up(watcher, pair if first else pair[::-1])
    answers = await asyncio.gather(*tasks)
    response = answers[1 if first else 0]
    # While a draft is read there is no scene to offer; afterwards the old ones are none any more.
    assert response.status_code == (422 if name == "offer" else 201 if name == "place" else 200), response.text
    assert await sql.fetchval("SELECT status FROM readings WHERE draft_number = 2") == "ready"
    assert await sql.fetchval(LEFT_BEHIND) == 0
    assert await invariants.violations(sql) == {}


async def test_drafts_and_edits_and_deals_at_once_leave_nothing_behind(
    world: World, scripts: Scripts, sql: Sql, database: Database
) -> None:
    contest = await Contest(world, scripts).build(FIRST)
    edit = f"/slots/{contest.plain['id']}"
    for _ in range(3):
        scene = (await scripts.scenes(contest.cleo, contest.project))[1]["id"]
        answers = await asyncio.gather(
            contest.draft(),
            scripts.read(),
            contest.cleo.patch(edit, {"sceneId": scene}),
            world.slot(contest.cleo, contest.project),
            contest.cleo.post(f"/bids/{contest.bid['id']}/terms", {"baseVersion": 1, "sceneId": scene}),
            contest.bo.post(f"/slots/{contest.slot['id']}/bids", {"amount": 2000, "objective": "Awareness"}),
            scripts.read(),
        )
        assert all(each.status_code < 500 for each in answers if isinstance(each, httpx2.Response))
        await scripts.read()
        assert await sql.fetchval(LEFT_BEHIND) == 0
        assert ok(await contest.cleo.get(edit))["sceneStatus"] == "current"
    assert await sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    assert await invariants.violations(sql) == {}
