"""What operators see: the floor, the record, the invariants, the accounts. And that nobody else does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.core.config import DAY, Settings
from backend.core.database import Db
from tests.factories.people import Person
from tests.factories.world import World, ok

CALLS = ("overview", "events", "invariants", "users")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Sessions that outlive the days these tests let pass."""
    return settings.model_copy(update={"jwt_expires_in": 365 * DAY})


@pytest.mark.parametrize("call", CALLS)
async def test_only_operators_may_call(world: World, call: str) -> None:
    path = f"/operator/{call}"
    assert (await world.nobody.get(path)).status_code == 401
    for person in (await world.creator(), await world.advertiser(), await world.merchant()):
        refused = await person.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "wrong_role")
    assert (await (await world.operator()).get(path)).status_code == 200


# The floor.


async def test_an_empty_floor_has_every_state_at_zero(world: World) -> None:
    olga = await world.operator()
    nothing = {"count": 0, "amount": 0}
    assert ok(await olga.get("/operator/overview")) == {
        "usersByRole": {"Creator": 0, "Advertiser": 0, "Merchant": 0, "Operator": 1},
        "slotsByStatus": {"Available": 0, "Locked": 0, "Completed": 0},
        "bidsByStatus": {
            "Pending": 0,
            "AwaitingFinalApproval": 0,
            "Accepted": 0,
            "Committed": 0,
            "Declined": 0,
        },
        "commitmentsByStatus": {"Active": nothing, "Delivered": nothing, "Completed": nothing, "Cancelled": nothing},
        "holdsEndingSoon": [],
        "deliveriesOverdue": [],
    }


async def test_the_overview_counts_what_the_lists_show(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    await world.bid(ada, await world.slot(cleo))
    await world.approve(cleo, await world.bid(ada, await world.slot(cleo)))
    await world.accepted(cleo, ada)
    await world.committed(cleo, ada)
    await world.slot(cleo)
    seen = ok(await olga.get("/operator/overview"))
    assert seen["usersByRole"] == {"Creator": 1, "Advertiser": 1, "Merchant": 0, "Operator": 1}
    assert seen["slotsByStatus"] == {"Available": 2, "Locked": 3, "Completed": 0}
    assert [seen["bidsByStatus"][each] for each in ("Pending", "AwaitingFinalApproval", "Accepted", "Committed")] == [
        1,
        1,
        1,
        1,
    ]
    assert seen["commitmentsByStatus"]["Active"] == {"count": 1, "amount": 1500}


async def test_holds_that_end_within_a_day_and_late_deliveries_stand_out(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    commitment = await world.committed(cleo, ada)
    held = await world.bid(ada, await world.slot(cleo, modality="PG/Reservation"))
    assert ok(await olga.get("/operator/overview"))["holdsEndingSoon"] == []
    world.advance(days=2, hours=1)
    seen = ok(await olga.get("/operator/overview"))
    assert [each["id"] for each in seen["holdsEndingSoon"]] == [held["id"]]
    listed = [each for each in ok(await olga.get("/bids")) if each["id"] == held["id"]]
    assert seen["holdsEndingSoon"] == listed
    world.advance(days=1)
    seen = ok(await olga.get("/operator/overview"))
    assert seen["holdsEndingSoon"] == []
    assert seen["bidsByStatus"]["Declined"] == 1, "overdue counts as ended before it is written"
    assert seen["deliveriesOverdue"] == []
    world.advance(days=90)
    assert ok(await olga.get("/operator/overview"))["deliveriesOverdue"] == ok(await olga.get("/commitments"))
    assert ok(await olga.get("/commitments"))[0]["id"] == commitment["id"]


# The record.


async def actions(person: Person, **filters: str) -> list[str]:
    return [each["action"] for each in ok(await person.get("/operator/events", params=filters))]


async def test_the_record_is_newest_first_and_filters_by_who_what_and_when(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    slot = await world.slot(cleo)
    bid = await world.bid(ada, slot)
    world.advance(hours=1)
    middle = (datetime.now(UTC) + world.shift - timedelta(minutes=1)).isoformat()
    await world.approve(cleo, bid)
    found = ok(await olga.get("/operator/events"))
    assert [each["at"] for each in found] == sorted((each["at"] for each in found), reverse=True)
    by_subject = ok(await olga.get("/operator/events", params={"subjectId": bid["id"], "subjectType": "bid"}))
    assert [each["action"] for each in by_subject] == ["bid.approved", "bid.placed"]
    newest = by_subject[0]
    assert (newest["actorId"], newest["actorRole"], newest["subjectType"]) == (cleo.id, "Creator", "bid")
    assert newest["data"] == {"status": "AwaitingFinalApproval", "side": "creator", "version": 1}
    assert newest["requestId"]
    assert "bid.placed" in await actions(olga, actorId=ada.id)
    assert "bid.approved" not in await actions(olga, actorId=ada.id)
    assert await actions(olga, action="slot.held") == ["slot.held"]
    assert set(await actions(olga, subjectType="slot")) == {"slot.held", "slot.created"}
    late, early = await actions(olga, since=middle), await actions(olga, until=middle)
    assert set(late) == {"bid.approved", "slot.held"}
    assert len(late) + len(early) == len(found)
    assert await actions(olga, action="") == [each["action"] for each in found]
    assert await actions(olga, action="no.such", subjectId=bid["id"]) == []


async def test_the_record_is_read_in_pages(world: World) -> None:
    olga = await world.operator()
    await world.slot(await world.creator())
    whole = [each["id"] for each in ok(await olga.get("/operator/events"))]
    read: list[str] = []
    path: str | None = "/operator/events?limit=2"
    while path:
        answer = await olga.get(path)
        read += [each["id"] for each in ok(answer)]
        link = answer.links.get("next")
        path = link["url"].removeprefix("/api/v1") if link else None
    assert read == whole


@pytest.mark.parametrize(
    "query",
    ["subjectType=deal", "actorId=me", "since=yesterday", "until=7", "cursor=x", "limit=0", "action=" + "a" * 101],
)
async def test_a_filter_of_the_record_that_is_none_is_refused(world: World, query: str) -> None:
    assert (await (await world.operator()).get(f"/operator/events?{query}")).status_code == 422


# The invariants.


async def test_the_invariants_hold(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    await world.committed(cleo, ada)
    found = ok(await olga.get("/operator/invariants"))
    assert [(each["id"], each["violations"]) for each in found] == [(f"I{number}", 0) for number in range(1, 9)]
    assert all(each["statement"].endswith(".") for each in found)


# What they cost.


@pytest.mark.parametrize(
    ("path", "budget"),
    [
        ("/operator/overview", 7),
        ("/operator/events", 2),
        ("/operator/invariants", 9),
        ("/operator/users", 2),
        ("/commitments/stats", 2),
        ("/bids/{bid}/memo", 7),
    ],
)
async def test_a_call_keeps_its_budget_of_statements_however_much_there_is(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, budget: int
) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    commitments = [await world.committed(cleo, ada) for _ in range(3)]
    await world.accepted(cleo, ada)
    asked: list[str] = []
    fetch = Db.fetch

    async def counted(db: Db, sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
        asked.append(sql)
        return await fetch(db, sql, arguments)

    monkeypatch.setattr(Db, "fetch", counted)
    assert (await olga.get(path.format(bid=commitments[0]["bidId"]))).status_code == 200
    assert len(asked) == budget
