"""Races with their guards taken away: each is seen to happen. Run by `python -m tests.faults unguarded`.

The quick ones of this kind stand beside the tests they belong to (`test_stampedes.py`, `test_idempotency.py`, …).
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, TypeAlias

import asyncpg
import httpx2
import pytest

from backend.models.users import Role
from backend.services import catalogues, projects
from backend.services.deals import ending
from tests.factories.people import Person
from tests.factories.world import World
from tests.faults import invariants
from tests.races import stampede
from tests.races.queues import SLOT, held, line_up

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
pytestmark = pytest.mark.timeout(180)


async def deadlocks_after(sql: Sql) -> int:
    """How many deadlocks there were; backends report what they saw after a moment."""
    for _ in range(40):
        if found := await invariants.deadlocks(sql):
            return found
        await asyncio.sleep(0.1)
    return 0


async def load(merchant: Person, numbers: list[int], price: int) -> httpx2.Response:
    lines = [f"Thermos {number},{price},40,item-{number}" for number in numbers]
    content = "\n".join(["title,price,margin,externalId", *lines]).encode()
    return await merchant.post("/skus/bulk", files={"file": ("catalogue.csv", content)})


@pytest.mark.parametrize("guarded", [True, False])
async def test_r9_catalogues_deadlock_without_the_merchants_lock(
    world: World, sql: Sql, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        monkeypatch.setattr(catalogues._LOCK_MERCHANT, "sql", stampede.unlocked(catalogues._LOCK_MERCHANT))
    merchant, dice = await world.merchant(), random.Random(1)
    for _ in range(4):
        await asyncio.gather(*(load(merchant, dice.sample(range(1000), 1000), 10 + each) for each in range(8)))
    assert (await deadlocks_after(sql) > 0) is not guarded


@pytest.mark.parametrize("guarded", [True, False])
async def test_r1_deleting_a_project_deadlocks_with_a_commit_when_it_locks_too_much(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        statement = projects._lock(Role.CREATOR)
        monkeypatch.setattr(statement, "sql", statement.sql.replace("FOR NO KEY UPDATE", "FOR UPDATE"))
        # The commitment refers to its project through the slot; a key of its own is what it once had.
        await sql.execute("ALTER TABLE commitments ADD FOREIGN KEY (project_id) REFERENCES projects (id)")
    creator, buyer = await world.creator(), await world.advertiser()
    bid = await world.accepted(creator, buyer)
    path = f"/projects/{bid['slot']['project']['id']}"
    async with held(dsn, SLOT, bid["slotId"]) as watcher:
        tasks = await line_up(watcher, [buyer.post(f"/bids/{bid['id']}/commit"), creator.delete(path)])
    await asyncio.gather(*tasks)
    assert (await deadlocks_after(sql) > 0) is not guarded


@pytest.mark.parametrize("guarded", [True, False])
async def test_r1_slots_locked_in_another_order_deadlock(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    if not guarded:
        statement = ending._LOCK_SLOTS_OF_PARTY
        assert "ORDER BY slots.id" in statement.sql
        monkeypatch.setattr(statement, "sql", statement.sql.replace("ORDER BY slots.id", "ORDER BY slots.id DESC"))
    creator, buyer, operator = await world.creator(), await world.advertiser(), await world.operator()
    project = await world.project(creator)
    first, last = sorted([await world.slot(creator, project) for _ in range(2)], key=lambda slot: str(slot["id"]))
    for slot in (first, last):
        await world.bid(buyer, slot)
    deactivate: Any = operator.patch(f"/operator/users/{buyer.id}", {"isActive": False})
    async with held(dsn, SLOT, last["id"]) as watcher:
        tasks = await line_up(watcher, [deactivate, creator.delete(f"/projects/{project['id']}")])
    await asyncio.gather(*tasks)
    assert (await deadlocks_after(sql) > 0) is not guarded


# What keeps an approval of old terms from counting for new ones, inside PostgreSQL.
WITHOUT_VERSIONS = """
    ALTER TABLE bids DROP CONSTRAINT ck_bids_approvals_are_of_current_terms;
    ALTER TABLE bids DROP CONSTRAINT ck_bids_status_counts_approvals;
    ALTER TABLE bids DROP CONSTRAINT fk_bids_hold;
    ALTER TABLE slots DROP CONSTRAINT ck_slots_hold_ends_only_when_locked;
    ALTER TABLE bids DISABLE TRIGGER guard_transitions;
    ALTER TABLE bids DISABLE TRIGGER guard_event_of_update;
    ALTER TABLE approvals DISABLE TRIGGER guard_counts;
"""


@pytest.mark.parametrize("guarded", [True, False])
async def test_r3_an_approval_of_old_terms_counts_for_new_ones_without_lock_and_checks(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    bids = [await world.bid(buyer, await world.slot(creator)) for _ in range(4)]
    if not guarded:
        await sql.execute(WITHOUT_VERSIONS)
    with monkeypatch.context() as patch:
        if not guarded:
            stampede.take_locks_away(patch)
        for bid in bids:
            path = f"/bids/{bid['id']}"
            # All that write the bid wait at the table, after they have read it.
            async with held(dsn, "LOCK TABLE terms, approvals IN EXCLUSIVE MODE") as watcher:
                calls = [
                    creator.post(f"{path}/terms", {"baseVersion": 1, "amount": 9000}),
                    buyer.post(f"{path}/approve", {"termsVersion": 1}),
                ]
                tasks = await line_up(watcher, calls)
            await asyncio.gather(*tasks)
    broken = await invariants.violations(sql)
    assert (broken != {}) is not guarded, broken
