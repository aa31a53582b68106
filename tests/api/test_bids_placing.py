"""Placing bids."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.core.config import Settings
from backend.schemas.bids import BidOut
from tests.factories.dumps import dump
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

DAY = 86400
Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Tokens outlive the days that these tests let pass; three holds are many."""
    return settings.model_copy(update={"jwt_expires_in": 365 * DAY, "max_holds": 3})


def after(bid: dict[str, Any], name: str, **by: float) -> datetime:
    return datetime.fromisoformat(bid[name]) + timedelta(**by)


async def reserved(world: World, creator: Person, **more: Any) -> dict[str, Any]:
    return await world.slot(creator, modality="PG/Reservation", **more)


async def test_a_placed_bid_is_pending_and_says_everything(world: World) -> None:
    cleo, mel = await world.creator(), await world.merchant()
    slot, sku = await world.slot(cleo), await world.sku(mel)
    bid = await world.bid(mel, slot, skuIds=[sku["id"], sku["id"]], message="  Hello.  ")
    BidOut.model_validate_json((await mel.get(f"/bids/{bid['id']}")).content)
    assert ok(await mel.get(f"/bids/{bid['id']}")) == bid
    assert (bid["status"], bid["amount"], bid["amountTerms"]) == ("Pending", 1500, "USD 1,500.00")
    assert bid["approvals"] == {"creator": False, "buyer": False}
    assert (bid["termsVersion"], bid["holdsSlot"], bid["holdExpiresAt"]) == (1, False, None)
    assert bid["skuIds"] == [sku["id"]]
    assert [each["title"] for each in bid["skus"]] == ["Thermos"]
    assert [each["text"] for each in bid["comments"]] == ["Hello."]
    assert bid["counterpartyId"] == bid["counterparty"]["id"] == mel.id
    assert bid["counterparty"]["role"] == "Merchant"
    assert after(bid, "createdAt", days=14) == after(bid, "expiresAt")
    assert bid["allowedActions"] == ["terms", "approve", "withdraw"]
    assert ok(await cleo.get(f"/bids/{bid['id']}"))["allowedActions"] == ["terms", "approve", "decline"]
    assert ok(await cleo.get(f"/bids/{bid['id']}"))["counterparty"] == bid["counterparty"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"objective": "x"}, "amount"),
        ({"amount": 1500}, "objective"),
        ({"amount": "1500", "objective": "x"}, "amount"),
        ({"amount": 0, "objective": "x"}, "amount"),
        ({"amount": -1, "objective": "x"}, "amount"),
        ({"amount": 1500.001, "objective": "x"}, "amount"),
        ({"amount": 10**13, "objective": "x"}, "amount"),
        ({"amount": 1500, "objective": " "}, "objective"),
        ({"amount": 1500, "objective": "x" * 4001}, "objective"),
        ({"amount": 1500, "objective": "x", "skuIds": ["no"]}, "skuIds.0"),
        ({"amount": 1500, "objective": "x", "status": "Accepted"}, "status"),
        ({"amount": 1500, "objective": "x", "message": ""}, "message"),
    ],
)
async def test_a_bid_of_the_wrong_shape_is_refused(world: World, body: dict[str, Any], field: str) -> None:
    slot = await world.slot(await world.creator())
    refused(await (await world.advertiser()).post(f"/slots/{slot['id']}/bids", body), 422, field=field)


async def test_only_buyers_place_and_strangers_see_no_slot(world: World) -> None:
    cleo, other, op = await world.creator(), await world.creator(), await world.operator()
    ada, mel = await world.advertiser(), await world.merchant()
    slot, private = await world.slot(cleo), await world.slot(cleo, visibility="Private")
    body = {"amount": 1500, "objective": "x"}
    refused(await world.nobody.post(f"/slots/{slot['id']}/bids", body), 401)
    refused(await other.post(f"/slots/{slot['id']}/bids", body), 404)
    refused(await cleo.post(f"/slots/{slot['id']}/bids", body), 403, "wrong_role")
    refused(await op.post(f"/slots/{slot['id']}/bids", body), 403, "wrong_role")
    refused(await ada.post(f"/slots/{private['id']}/bids", body), 404)
    refused(await ada.post(f"/slots/{cleo.id}/bids", body), 404)
    ok(await cleo.put(f"/slots/{private['id']}/invitees", {"userIds": [ada.id]}))
    await world.bid(ada, private)
    refused(await mel.post(f"/slots/{private['id']}/bids", body), 404)


async def test_a_bid_names_the_buyers_own_skus_only(world: World, sql: Sql) -> None:
    cleo, mel, moe, ada = (
        await world.creator(),
        await world.merchant(),
        await world.merchant(),
        await world.advertiser(),
    )
    slot, mine, foreign, gone = (
        await world.slot(cleo),
        await world.sku(mel),
        await world.sku(moe),
        await world.sku(mel),
    )
    ok(await mel.delete(f"/skus/{gone['id']}"))
    before = await dump(sql)
    for buyer, ids, field in (
        (mel, [mine["id"], foreign["id"]], "skuIds.1"),
        (mel, [gone["id"]], "skuIds.0"),
        (mel, [cleo.id], "skuIds.0"),
        (ada, [mine["id"]], "skuIds.0"),
    ):
        body = {"amount": 1500, "objective": "x", "skuIds": ids}
        refused(await buyer.post(f"/slots/{slot['id']}/bids", body), 422, "unknown_sku", field)
    assert await dump(sql) == before


async def test_amounts_start_at_the_floor(world: World) -> None:
    slot, ada = await world.slot(await world.creator(), pricingFloor=1000.5), await world.advertiser()
    problem = refused(
        await ada.post(f"/slots/{slot['id']}/bids", {"amount": 1000.49, "objective": "x"}), 409, "below_floor"
    )
    assert (problem["currentStatus"], problem["allowedActions"]) == ("Available", [])
    await world.bid(ada, slot, amount=1000.5)


async def test_one_bid_for_each_buyer_until_it_is_declined(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    bid = await world.bid(ada, slot)
    refused(await ada.post(f"/slots/{slot['id']}/bids", {"amount": 2000, "objective": "x"}), 409, "already_bid")
    ok(await ada.post(f"/bids/{bid['id']}/withdraw"))
    again = await world.bid(ada, slot)
    assert again["id"] != bid["id"]
    assert [each["status"] for each in ok(await ada.get("/bids", params={"slotId": slot["id"]}))] == [
        "Pending",
        "Declined",
    ]


async def test_bidding_closes_at_its_very_instant(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    closes = "2099-01-01T00:00:00Z"
    slot = await world.slot(cleo, biddingClosesAt=closes)
    bid = await world.bid(ada, slot)
    world.freeze(datetime.fromisoformat(closes) - timedelta(microseconds=1))
    # Other deadlines are long past; only this one is looked at.
    token = await world.log_in(mel.user["email"])  # type: ignore[index]
    second = await world.bid(token, slot)
    ok(await token.post(f"/bids/{second['id']}/withdraw"))
    world.freeze(datetime.fromisoformat(closes))
    refused(await token.post(f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "x"}), 409, "bidding_closed")
    assert bid["status"] == "Pending"


async def test_a_reservation_is_first_come_first_held(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await reserved(world, cleo)
    bid = await world.bid(ada, slot)
    assert (bid["status"], bid["holdsSlot"], bid["slot"]["status"]) == ("Pending", True, "Locked")
    assert after(bid, "holdExpiresAt") == after(bid, "createdAt", days=3)
    problem = refused(
        await mel.post(f"/slots/{slot['id']}/bids", {"amount": 9000, "objective": "x"}), 409, "slot_locked"
    )
    assert problem["currentStatus"] == "Locked"
    ok(await ada.post(f"/bids/{bid['id']}/withdraw"))
    assert ok(await mel.get(f"/slots/{slot['id']}"))["status"] == "Available"
    assert (await world.bid(mel, slot))["holdsSlot"]


async def test_a_buyer_whose_hold_ended_waits_before_the_next_on_that_slot(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot, other = await reserved(world, cleo), await reserved(world, cleo)
    bid = await world.bid(ada, slot)
    start = world.freeze()
    ok(await ada.post(f"/bids/{bid['id']}/withdraw"))
    body = {"amount": 1500, "objective": "x"}
    refused(await ada.post(f"/slots/{slot['id']}/bids", body), 409, "hold_cooldown")
    await world.bid(ada, other)
    world.freeze(start + timedelta(days=1) - timedelta(microseconds=1))
    refused(await ada.post(f"/slots/{slot['id']}/bids", body), 409, "hold_cooldown")
    world.freeze(start + timedelta(days=1))
    await world.bid(ada, slot)


@pytest.mark.parametrize("written", [False, True])
async def test_the_wait_counts_from_when_the_hold_ran_out_not_from_when_that_was_written(
    world: World, written: bool
) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await reserved(world, cleo)
    bid = await world.bid(ada, slot)
    ends = after(bid, "holdExpiresAt")
    body = {"amount": 1500, "objective": "x"}
    world.freeze(ends + timedelta(hours=23))
    if written:
        assert await world.expire() == 1
    refused(await ada.post(f"/slots/{slot['id']}/bids", body), 409, "hold_cooldown")
    assert ok(await ada.get(f"/bids/{bid['id']}"))["declineReason"] == "hold_expired"
    world.freeze(ends + timedelta(days=1))
    again = await world.bid(ada, slot)
    assert again["holdsSlot"]
    former = ok(await ada.get(f"/bids/{bid['id']}"))
    assert (former["status"], former["declineReason"]) == ("Declined", "hold_expired")
    assert after(former, "updatedAt") == ends


async def test_a_buyer_holds_so_many_reservations_and_no_more(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    slots = [await world.slot(cleo, project, modality="PG/Reservation") for _ in range(5)]
    held = [await world.bid(ada, slot) for slot in slots[:3]]
    body = {"amount": 1500, "objective": "x"}
    refused(await ada.post(f"/slots/{slots[3]['id']}/bids", body), 409, "too_many_holds")
    # Neither an auction nor a committed deal counts.
    await world.accepted(cleo, ada, await world.slot(cleo, project))
    for person in (cleo, ada):
        await world.approve(person, held[0])
    ok(await ada.post(f"/bids/{held[0]['id']}/commit"))
    await world.bid(ada, slots[3])
    refused(await ada.post(f"/slots/{slots[4]['id']}/bids", body), 409, "too_many_holds")
    world.advance(days=3)
    await world.bid(ada, slots[4])


async def test_a_bid_on_a_held_auction_stands_by(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo)
    first = await world.bid(ada, slot)
    await world.approve(cleo, first)
    second = await world.bid(mel, slot)
    assert (second["status"], second["holdsSlot"], second["slot"]["status"]) == ("Pending", False, "Locked")
    await world.approve(mel, second)
    problem = refused(await cleo.post(f"/bids/{second['id']}/approve"), 409, "slot_locked")
    assert problem["currentStatus"] == "AwaitingFinalApproval"
    assert "approve" not in problem["allowedActions"]
    ok(await ada.post(f"/bids/{first['id']}/withdraw"))
    assert (await world.approve(cleo, second))["status"] == "Accepted"


async def test_a_sold_slot_takes_no_bid(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo)
    await world.committed(cleo, ada, slot)
    for buyer in (ada, mel):
        body = {"amount": 1500, "objective": "x"}
        refused(await buyer.post(f"/slots/{slot['id']}/bids", body), 409, "slot_sold")


async def test_a_placing_that_follows_what_ran_out_writes_it(world: World, sql: Sql) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await reserved(world, cleo)
    former = await world.bid(ada, slot)
    world.advance(days=4)
    before = await dump(sql)
    refused(await mel.post(f"/slots/{slot['id']}/bids", {"amount": 1, "objective": "x"}), 409, "below_floor")
    assert await dump(sql) == before
    await world.bid(mel, slot)
    row = await sql.fetchrow("SELECT status, decline_reason, hold_ended_at FROM bids WHERE id = $1", former["id"])
    assert row is not None
    assert tuple(row) == ("Declined", "hold_expired", after(former, "holdExpiresAt"))
    lines = await sql.fetch("SELECT * FROM events WHERE bid_id = $1 ORDER BY id", former["id"])
    assert [line["action"] for line in lines] == ["bid.placed", "slot.held", "bid.expired", "slot.released"]
    assert [(line["actor_role"], line["actor_id"]) for line in lines[2:]] == [("System", None)] * 2
