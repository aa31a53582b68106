"""The financing dashboard agrees to the cent with the lists of commitments and bids, whoever looks and whenever."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from decimal import Decimal
from typing import Any

import asyncpg
import httpx2
import pytest

from backend.core.config import DAY, Settings
from tests.factories.people import Person
from tests.factories.world import World, ok


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Sessions that outlive the days these tests let pass."""
    return settings.model_copy(update={"jwt_expires_in": 365 * DAY})


def exact(response: httpx2.Response) -> Any:
    """The JSON with money as it was written, not as a float."""
    assert response.is_success, response.text
    return json.loads(response.content, parse_float=Decimal)


async def recomputed(person: Person) -> dict[str, Any]:
    """The sums again, from the lists that the same person sees."""
    commitments = [each for each in exact(await person.get("/commitments")) if each["status"] != "Cancelled"]
    holders = [
        each
        for each in exact(await person.get("/bids"))
        if each["holdsSlot"] and each["status"] in ("Pending", "AwaitingFinalApproval", "Accepted")
    ]
    assert len({each["slotId"] for each in holders}) == len(holders), "one per slot"
    projects: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    users: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 3)
    months: dict[str, Decimal] = defaultdict(Decimal)
    for each in commitments:
        done = each["amount"] if each["status"] == "Completed" else Decimal(0)
        for sums in (projects[each["projectId"]], users[each["counterpartyId"]]):
            sums[0] += each["amount"]
            sums[1] += done
        months[each["createdAt"][:7]] += each["amount"]
    for each in holders:
        projects[each["slot"]["project"]["id"]][2] += each["amount"]
        users[each["counterpartyId"]][2] += each["amount"]
    return {
        "totals": [sum((sums[place] for sums in projects.values()), Decimal(0)) for place in range(3)],
        "count": len(commitments),
        "projects": dict(projects),
        "users": dict(users),
        "months": dict(months),
    }


async def must_agree(person: Person) -> dict[str, Any]:
    stats: dict[str, Any] = exact(await person.get("/commitments/stats"))
    sums = await recomputed(person)
    assert [stats["totalCommitted"], stats["totalCompleted"], stats["pipeline"]] == sums["totals"]
    assert stats["commitmentCount"] == sums["count"]
    lines = {each["projectId"]: each for each in stats["byProject"]}
    assert len(lines) == len(stats["byProject"])
    for project_id, each in lines.items():
        expected = sums["projects"].pop(project_id, [Decimal(0)] * 3)
        assert [each["committed"], each["completed"], each["pipeline"]] == expected
    assert sums["projects"] == {}
    assert {each["month"]: each["committed"] for each in stats["byMonth"]} == sums["months"]
    assert [each["month"] for each in stats["byMonth"]] == sorted(sums["months"])
    if "byUser" in stats:
        found = {each["userId"]: [each["committed"], each["completed"], each["pipeline"]] for each in stats["byUser"]}
        assert found == sums["users"]
    return stats


async def test_nobody_sees_no_stats(world: World) -> None:
    assert (await world.nobody.get("/commitments/stats")).status_code == 401


async def test_without_deals_every_sum_is_zero_and_a_creators_projects_are_there(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    project = await world.project(cleo)
    empty = {"totalCommitted": 0, "totalCompleted": 0, "pipeline": 0, "commitmentCount": 0, "byMonth": []}
    line = {
        "projectId": project["id"],
        "title": "Night Train",
        "budgetTarget": 100000,
        "committed": 0,
        "completed": 0,
        "pipeline": 0,
        "fundedRatio": 0,
    }
    assert ok(await cleo.get("/commitments/stats")) == {**empty, "byProject": [line]}
    assert ok(await ada.get("/commitments/stats")) == {**empty, "byProject": []}
    assert ok(await olga.get("/commitments/stats")) == {**empty, "byProject": [], "byUser": []}


async def test_each_sees_their_own_side_and_operators_all(world: World) -> None:
    cleo, carl = await world.creator(), await world.creator()
    ada, bea, olga = await world.advertiser(), await world.merchant(), await world.operator()
    await world.committed(cleo, ada)
    await world.committed(cleo, bea)
    await world.committed(carl, ada)
    assert (await must_agree(cleo))["totalCommitted"] == 3000
    assert (await must_agree(carl))["totalCommitted"] == 1500
    spent = await must_agree(ada)
    assert spent["totalCommitted"] == 3000
    assert {each["fundedRatio"] for each in spent["byProject"]} == {None}
    everything = await must_agree(olga)
    assert everything["totalCommitted"] == 4500
    assert {(each["userId"], each["name"], each["role"]) for each in everything["byUser"]} == {
        (ada.id, "Advertiser 3", "Advertiser"),
        (bea.id, "Merchant 4", "Merchant"),
    }
    assert {each["fundedRatio"] for each in everything["byProject"]} == {Decimal("0.015")}


async def test_the_pipeline_counts_one_holder_for_each_slot_and_never_a_rival(world: World) -> None:
    cleo, ada, bea = await world.creator(), await world.advertiser(), await world.advertiser()
    slot = await world.slot(cleo)
    rival = await world.bid(bea, slot, amount=9000)
    bid = await world.bid(ada, slot, amount=2000)
    assert (await must_agree(cleo))["pipeline"] == 0, "nobody holds yet"
    await world.approve(cleo, bid)
    assert (await must_agree(cleo))["pipeline"] == 2000
    assert (await must_agree(ada))["pipeline"] == 2000
    assert await must_agree(bea) == {
        "totalCommitted": 0,
        "totalCompleted": 0,
        "pipeline": 0,
        "commitmentCount": 0,
        "byProject": [],
        "byMonth": [],
    }
    ok(await cleo.post(f"/bids/{bid['id']}/decline", {"reason": "fit"}))
    await world.approve(cleo, rival)
    assert (await must_agree(bea))["pipeline"] == 9000
    assert (await must_agree(ada))["pipeline"] == 0


async def test_an_overdue_hold_leaves_the_pipeline_from_its_instant(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo, modality="PG/Reservation")
    await world.bid(ada, slot)
    assert (await must_agree(cleo))["pipeline"] == 1500
    world.advance(days=3, seconds=1)
    assert (await must_agree(cleo))["pipeline"] == 0
    assert (await must_agree(ada))["pipeline"] == 0


async def test_a_cancelled_commitment_counts_nowhere(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    commitment = await world.committed(cleo, ada)
    for person in (cleo, ada):
        ok(await person.post(f"/commitments/{commitment['id']}/cancel", {"reason": "The scene was cut."}))
    for person in (cleo, ada, olga):
        stats = await must_agree(person)
        assert (stats["totalCommitted"], stats["commitmentCount"], stats["byMonth"]) == (0, 0, [])


async def test_a_delivery_that_nobody_rejects_is_completed_by_the_clock(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    commitment = await world.committed(cleo, ada)
    ok(await cleo.post(f"/commitments/{commitment['id']}/deliver", {"note": "There it is."}))
    assert (await must_agree(ada))["totalCompleted"] == 0
    world.advance(days=15)
    assert (await must_agree(ada))["totalCompleted"] == 1500
    assert (await must_agree(cleo))["totalCompleted"] == 1500


async def test_months_are_those_of_utc(world: World, sql: asyncpg.Connection[asyncpg.Record]) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    await world.committed(cleo, ada)
    world.advance(days=40)
    await world.committed(cleo, ada)
    rows = await sql.fetch("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month FROM commitments")
    assert {each["month"] for each in (await must_agree(cleo))["byMonth"]} == {row["month"] for row in rows}


async def test_a_project_without_a_budget_has_no_ratio(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    await world.committed(cleo, ada, await world.slot(cleo, await world.project(cleo, budgetTarget=0)))
    assert [each["fundedRatio"] for each in ok(await cleo.get("/commitments/stats"))["byProject"]] == [None]


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_the_sums_are_those_of_the_lists(world: World, seed: int) -> None:
    dice = random.Random(seed)
    creators = [await world.creator() for _ in range(2)]
    buyers = [await world.advertiser(), await world.merchant(), await world.advertiser()]
    operator = await world.operator()
    slots = []
    for creator in creators:
        projects = [await world.project(creator), await world.project(creator, budgetTarget=777)]
        slots += [
            (creator, await world.slot(creator, dice.choice(projects), modality=modality, pricingFloor=1))
            for modality in ("Private Auction", "PG/Reservation", "Private Auction")
        ]
    bids: list[tuple[Person, Person, str]] = []
    for _ in range(60):
        await _anything(dice, slots, buyers, bids)
        if dice.random() < 0.1:
            world.advance(hours=dice.choice([1, 5]))
    for person in (*creators, *buyers, operator):
        await must_agree(person)


async def _anything(dice: random.Random, slots: list[Any], buyers: list[Person], bids: list[Any]) -> None:
    """One step at random; most may be refused, none may fail."""
    if not bids or dice.random() < 0.3:
        creator, slot = dice.choice(slots)
        buyer = dice.choice(buyers)
        amount = dice.randrange(100, 1_000_000) / 100
        response = await buyer.post(f"/slots/{slot['id']}/bids", {"amount": amount, "objective": "Awareness"})
        if response.is_success:
            bids.append((creator, buyer, response.json()["id"]))
        assert response.status_code < 500
        return
    creator, buyer, bid = dice.choice(bids)
    action = dice.choice(["approve", "approve", "approve", "commit", "commit", "decline", "withdraw", "terms", "work"])
    person = (
        buyer if action in ("commit", "withdraw") else creator if action == "decline" else dice.choice([creator, buyer])
    )
    if action == "work":
        found = [each for each in ok(await buyer.get("/commitments")) if each["bidId"] == bid]
        for each in found:
            step = dice.choice(["deliver", "confirm", "cancel"])
            for side in (creator, buyer):
                body = {"deliver": {"note": "Done."}, "confirm": {}, "cancel": {"reason": "Cut."}}[step]
                assert (await side.post(f"/commitments/{each['id']}/{step}", body)).status_code < 500
        return
    version = ok(await buyer.get(f"/bids/{bid}"))["termsVersion"]
    terms: dict[str, Any] = {"baseVersion": version, "amount": dice.randrange(100, 500_000) / 100}
    bodies: dict[str, dict[str, Any]] = {"decline": {"reason": "price"}, "terms": terms}
    assert (await person.post(f"/bids/{bid}/{action}", bodies.get(action))).status_code < 500
