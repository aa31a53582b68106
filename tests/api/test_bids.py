"""Bids: new terms, approving, ending, committing, reading."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.core.config import Settings
from backend.schemas.bids import BidListed, TermsOut
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


# Terms.


async def test_new_terms_void_both_approvals_and_keep_what_was_left_out(world: World) -> None:
    cleo, mel = await world.creator(), await world.merchant()
    sku = await world.sku(mel)
    bid = await world.bid(mel, await world.slot(cleo), skuIds=[sku["id"]], amountTerms="Half now")
    await world.approve(mel, bid)
    changed = ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "objective": "Sales"}))
    assert (changed["status"], changed["termsVersion"]) == ("Pending", 2)
    assert changed["approvals"] == {"creator": False, "buyer": False}
    assert (changed["amount"], changed["amountTerms"], changed["skuIds"]) == (1500, "Half now", [sku["id"]])
    priced = ok(await mel.post(f"/bids/{bid['id']}/terms", {"baseVersion": 2, "amount": 1600, "skuIds": []}))
    assert (priced["amountTerms"], priced["objective"], priced["skuIds"]) == ("Half now", "Sales", [])
    versions = ok(await mel.get(f"/bids/{bid['id']}/terms"))
    for version in versions:
        TermsOut.model_validate(version)
    assert [(each["version"], each["side"], each["amount"], each["skuIds"]) for each in versions] == [
        (1, "buyer", 1500, [sku["id"]]),
        (2, "creator", 1500, [sku["id"]]),
        (3, "buyer", 1600, []),
    ]
    assert [each["authorId"] for each in versions] == [mel.id, cleo.id, mel.id]


async def test_an_amount_that_was_written_out_is_written_out_again(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    bid = ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 2000}))
    assert bid["amountTerms"] == "USD 2,000.00"


async def test_terms_name_the_version_they_were_written_against(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    path = f"/bids/{bid['id']}"
    ok(await cleo.post(f"{path}/terms", {"baseVersion": 1, "amount": 2000}))
    problem = refused(await ada.post(f"{path}/terms", {"baseVersion": 1, "amount": 1800}), 409, "terms_changed")
    assert problem["currentStatus"] == "Pending"
    refused(await ada.post(f"{path}/terms", {"amount": 1800}), 422, field="baseVersion")
    refused(await ada.post(f"{path}/terms", {"baseVersion": 2, "amount": None}), 422, field="amount")
    refused(await ada.post(f"{path}/approve", {"termsVersion": 1}), 409, "terms_changed")
    ok(await ada.post(f"{path}/approve", {"termsVersion": 2}))


async def test_the_floor_binds_terms_written_later(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    bid = await world.bid(ada, slot)
    ok(await cleo.patch(f"/slots/{slot['id']}", {"pricingFloor": 1600}))
    refused(await ada.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "objective": "x"}), 409, "below_floor")
    for person in (cleo, ada):  # what was written before stays good
        bid = await world.approve(person, bid)
    assert bid["status"] == "Accepted"


async def test_terms_on_a_reservation_keep_the_hold_and_its_end(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await reserved(world, cleo))
    await world.approve(cleo, bid)
    world.advance(days=1)
    changed = ok(await ada.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 1700}))
    assert (changed["status"], changed["holdsSlot"]) == ("Pending", True)
    assert changed["holdExpiresAt"] == bid["holdExpiresAt"]
    assert after(changed, "expiresAt") == after(changed, "updatedAt", days=14)


async def test_terms_on_an_auction_let_the_hold_go(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo)
    bid, rival = await world.bid(ada, slot), await world.bid(mel, slot)
    await world.approve(cleo, bid)
    changed = ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 1700}))
    assert (changed["holdsSlot"], changed["holdExpiresAt"], changed["slot"]["status"]) == (False, None, "Available")
    assert (await world.approve(cleo, rival))["holdsSlot"]


# Approving.


async def test_the_creators_approval_takes_the_hold_and_the_second_sets_the_commit_deadline(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    now = world.freeze()
    held = await world.approve(cleo, bid)
    assert held["approvals"] == {"creator": True, "buyer": False}
    assert after(held, "holdExpiresAt") == now + timedelta(days=3)
    now = world.freeze(now + timedelta(days=2))
    accepted = await world.approve(ada, bid)
    assert (accepted["status"], after(accepted, "holdExpiresAt")) == ("Accepted", now + timedelta(days=7))
    assert after(accepted, "expiresAt") >= after(accepted, "holdExpiresAt")


async def test_a_hold_never_ends_after_its_bid(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    world.advance(days=13)
    held = await world.approve(cleo, bid)
    assert held["holdExpiresAt"] == held["expiresAt"] == bid["expiresAt"]
    accepted = await world.approve(ada, bid)
    assert accepted["expiresAt"] == accepted["holdExpiresAt"] > bid["expiresAt"]


async def test_approving_follows_a_holder_that_ran_out(world: World, sql: Sql) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo)
    first = await world.bid(ada, slot)
    await world.approve(cleo, first)
    second = await world.bid(mel, slot)
    world.advance(days=3)
    assert (await world.approve(cleo, second))["holdsSlot"]
    row = await sql.fetchrow("SELECT status, decline_reason FROM bids WHERE id = $1", first["id"])
    assert row is not None
    assert tuple(row) == ("Declined", "hold_expired")


# Ending.


@pytest.mark.parametrize("reason", ["price", "fit", "category", "timing", "brand_safety", "other"])
async def test_a_creator_declines_with_a_reason(world: World, reason: str) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await reserved(world, cleo))
    declined = ok(await cleo.post(f"/bids/{bid['id']}/decline", {"reason": reason, "note": "Sorry."}))
    assert (declined["status"], declined["declineReason"]) == ("Declined", reason)
    assert (declined["holdsSlot"], declined["slot"]["status"]) == (False, "Available")
    assert [each["text"] for each in declined["comments"]] == ["Sorry."]
    assert declined["allowedActions"] == []
    refused(await cleo.post(f"/bids/{bid['id']}/decline", {}), 422, field="reason")
    refused(await cleo.post(f"/bids/{bid['id']}/decline", {"reason": "withdrawn"}), 422, field="reason")


async def test_operators_act_for_a_side_with_a_reason_on_the_record(world: World, sql: Sql) -> None:
    cleo, ada, op = await world.creator(), await world.advertiser(), await world.operator()
    for action, side in (("decline", "creator"), ("withdraw", "buyer")):
        bid = await world.bid(ada, await world.slot(cleo))
        path = f"/bids/{bid['id']}/{action}"
        body: dict[str, Any] = {"reason": "fit"} if action == "decline" else {}
        other = "buyer" if side == "creator" else "creator"
        refused(await op.post(path, body), 422, field="onBehalfOf")
        wrong = {**body, "onBehalfOf": {"side": other, "reason": "x"}}
        refused(await op.post(path, wrong), 422, field="onBehalfOf.side")
        behalf = {**body, "onBehalfOf": {"side": side, "reason": "Asked by telephone."}}
        party = cleo if side == "creator" else ada
        refused(await party.post(path, behalf), 422, field="onBehalfOf")
        ended = ok(await op.post(path, behalf))
        assert ended["status"] == "Declined"
        assert [(each["authorId"], each["text"]) for each in ended["comments"]] == [(op.id, "Asked by telephone.")]
        row = await sql.fetchrow("SELECT * FROM events WHERE bid_id = $1 AND status = 'Declined'", bid["id"])
        assert row is not None
        assert (str(row["actor_id"]), row["actor_role"]) == (op.id, "Operator")
        assert side in row["data"]


async def test_operators_consent_for_nobody(world: World) -> None:
    cleo, ada, op = await world.creator(), await world.advertiser(), await world.operator()
    bid = await world.bid(ada, await world.slot(cleo))
    for action, body in (("terms", {"baseVersion": 1, "amount": 2000}), ("approve", {}), ("commit", {})):
        refused(await op.post(f"/bids/{bid['id']}/{action}", body), 403, "wrong_party")


# Committing.


async def test_a_commitment_ends_the_rivals_and_tells_them_nothing(world: World, sql: Sql) -> None:
    cleo = await world.creator()
    ada = await world.advertiser(name="Zanzibar Holdings")
    mel = await world.merchant()
    slot = await world.slot(cleo)
    rival = await world.bid(mel, slot)
    won = await world.bid(ada, slot, amount=777777.77, objective="Xylophones", message="Quokka")
    assert rival["slot"]["status"] == "Available"
    await world.approve(ada, won)
    await world.approve(cleo, won)
    commitment = ok(await ada.post(f"/bids/{won['id']}/commit", {"amount": 777777.77}))
    assert (commitment["status"], commitment["amount"], commitment["bidStatus"]) == (
        "Active",
        777777.77,
        "Committed",
    )
    assert after(commitment, "deliverBy") == after(commitment, "createdAt", days=90)
    lost = ok(await mel.get(f"/bids/{rival['id']}"))
    assert (lost["status"], lost["declineReason"]) == ("Declined", "slot_sold")
    closed = await sql.fetchrow("SELECT * FROM events WHERE bid_id = $1 AND status = 'Declined'", rival["id"])
    assert closed is not None
    assert (closed["actor_id"], closed["actor_role"]) == (None, "System")
    answers = ""
    for path in (
        "/bids",
        f"/bids/{rival['id']}",
        f"/bids/{rival['id']}/terms",
        f"/bids/{rival['id']}/comments",
        f"/bids/{rival['id']}/events",
        "/commitments",
        "/slots",
        f"/slots/{slot['id']}",
        "/projects",
        f"/projects/{slot['projectId']}",
    ):
        response = await mel.get(path)
        assert response.is_success, path
        answers += response.text + str(response.headers)
    for path, body in (
        (f"/bids/{won['id']}/approve", {}),
        (f"/bids/{rival['id']}/approve", {}),
        (f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "x"}),
        (f"/commitments/{commitment['id']}/cancel", {"reason": "x"}),
    ):
        answers += (await mel.post(path, body)).text
    for path in (f"/bids/{won['id']}", f"/commitments/{commitment['id']}", f"/bids/{won['id']}/events"):
        answers += (await mel.get(path)).text
    secrets = ["Zanzibar", "777777", "777,777", "Xylophones", "Quokka", ada.id, won["id"], commitment["id"]]
    assert [secret for secret in secrets if secret in answers] == []


async def test_standing_by_tells_nothing_of_the_rival(world: World) -> None:
    cleo, mel = await world.creator(), await world.merchant()
    ada = await world.advertiser(name="Zanzibar Holdings")
    slot = await world.slot(cleo)
    mine = await world.bid(mel, slot)
    before = ok(await mel.get(f"/bids/{mine['id']}"))
    other = await world.bid(ada, slot, amount=777777.77)
    assert ok(await mel.get(f"/bids/{mine['id']}")) == before, "a rival's bid changes nothing that a buyer sees"
    assert ok(await mel.get(f"/slots/{slot['id']}"))["status"] == "Available"
    ok(await cleo.post(f"/bids/{other['id']}/decline", {"reason": "fit"}))
    assert ok(await mel.get(f"/bids/{mine['id']}")) == before


async def test_commit_takes_what_was_approved_and_nothing_else(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.accepted(cleo, ada)
    path = f"/bids/{bid['id']}/commit"
    problem = refused(await ada.post(path, {"amount": 1500.01}), 409, "amount_mismatch")
    assert problem["currentStatus"] == "Accepted"
    assert problem["allowedActions"] == ["withdraw", "commit"]
    refused(await ada.post(path, {"amount": "1500"}), 422, field="amount")
    response = await ada.post(path, {"amount": 1500})
    assert response.status_code == 201
    refused(await ada.post(path, {"amount": 1500.01}), 409, "amount_mismatch")
    assert (await ada.post(path)).json() == response.json()


# Repeating without a key.


async def test_repeats_without_a_key_give_the_same_answer_and_have_no_second_effect(world: World, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    bid = await world.bid(ada, await world.slot(cleo, project))
    first, second = (
        await world.bid(ada, await world.slot(cleo, project)),
        await world.bid(ada, await world.slot(cleo, project)),
    )
    for person, path, body in (
        (cleo, f"/bids/{bid['id']}/approve", {"termsVersion": 1}),
        (ada, f"/bids/{bid['id']}/approve", {}),
        (ada, f"/bids/{bid['id']}/commit", {"amount": 1500}),
        (cleo, f"/bids/{first['id']}/decline", {"reason": "fit", "note": "No."}),
        (ada, f"/bids/{second['id']}/withdraw", {"note": "Sorry."}),
    ):
        answer = await person.post(path, body)
        before = await dump(sql)
        again = await person.post(path, body)
        assert (again.status_code, again.content) == (answer.status_code, answer.content)
        assert await dump(sql) == before


# Reading.


async def test_each_caller_lists_own_deals(world: World) -> None:
    cleo, other, op = await world.creator(), await world.creator(), await world.operator()
    ada, mel = await world.advertiser(), await world.merchant()
    project = await world.project(cleo)
    slot, second = await world.slot(cleo, project), await world.slot(cleo)
    first, rival = await world.bid(ada, slot), await world.bid(mel, slot, message="Hi")
    third = await world.bid(ada, second)

    async def listed(person: Person, **params: Any) -> list[str]:
        rows = ok(await person.get("/bids", params=params))
        for row in rows:
            BidListed.model_validate(row)
        return [row["id"] for row in rows]

    assert await listed(ada) == [third["id"], first["id"]]
    assert await listed(mel) == [rival["id"]]
    assert await listed(cleo) == await listed(op) == [third["id"], rival["id"], first["id"]]
    assert await listed(other) == []
    assert await listed(cleo, slotId=slot["id"]) == [rival["id"], first["id"]]
    assert await listed(cleo, projectId=project["id"], sort="updatedAt") == [first["id"], rival["id"]]
    assert await listed(cleo, status="") == await listed(cleo)
    ok(await cleo.post(f"/bids/{first['id']}/decline", {"reason": "fit"}))
    assert await listed(cleo, status="Declined") == [first["id"]]
    assert await listed(cleo) == [first["id"], third["id"], rival["id"]]
    assert ok(await cleo.get("/bids", params={"slotId": slot["id"]}))[1]["commentCount"] == 1
    page = await cleo.get("/bids", params={"limit": 2})
    link = page.headers["link"]
    following = link[link.index("<") + 1 : link.index(">")].removeprefix("/api/v1")
    assert [row["id"] for row in ok(page) + ok(await cleo.get(following))] == await listed(cleo)
    for bad in ({"status": "Open"}, {"sort": "amount"}, {"slotId": "x"}, {"awaiting": "you"}, {"cursor": "x"}):
        refused(await cleo.get("/bids", params=bad), 422)
    refused(await world.nobody.get("/bids"), 401)
    refused(await other.get(f"/bids/{first['id']}"), 404)
    refused(await mel.get(f"/bids/{first['id']}/terms"), 404)


async def test_awaiting_me_is_what_i_may_approve_or_commit(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    project = await world.project(cleo)
    slots = [await world.slot(cleo, project) for _ in range(6)]
    bids = [await world.bid(ada, slot) for slot in slots]
    await world.approve(cleo, bids[1])
    await world.approve(ada, bids[2])
    for person in (cleo, ada):
        await world.approve(person, bids[3])
        await world.approve(person, bids[4])
    ok(await ada.post(f"/bids/{bids[4]['id']}/commit"))
    ok(await ada.post(f"/bids/{bids[5]['id']}/withdraw"))
    await world.bid(mel, slots[1])
    await world.bid(mel, slots[0])
    for days in (0, 4, 8, 20):
        world.advance(days=days)
        for person in (cleo, ada, mel):
            awaiting = {row["id"] for row in ok(await person.get("/bids", params={"awaiting": "me"}))}
            mine = {
                row["id"] for row in ok(await person.get("/bids")) if {"approve", "commit"} & set(row["allowedActions"])
            }
            assert awaiting == mine
            assert bool(awaiting) == (days < 20)
    assert ok(await (await world.operator()).get("/bids", params={"awaiting": "me"})) == []


async def test_the_history_is_told_to_the_parties_without_the_others_requests(world: World) -> None:
    cleo, ada, op, mel = (
        await world.creator(),
        await world.advertiser(),
        await world.operator(),
        await world.merchant(),
    )
    slot = await world.slot(cleo)
    rival = await world.bid(mel, slot)
    bid = await world.accepted(cleo, ada, slot)
    commitment = ok(await ada.post(f"/bids/{bid['id']}/commit", headers={"X-Request-ID": "the-request-of-ada"}))
    ok(await cleo.post(f"/commitments/{commitment['id']}/deliver", {"note": "A secret sentence."}))
    path = f"/bids/{bid['id']}/events"
    mine = ok(await ada.get(path))
    assert [line["action"] for line in mine] == [
        "bid.placed",
        "bid.approved",
        "slot.held",
        "bid.approved",
        "bid.committed",
        "commitment.created",
        "commitment.delivered",
        "bid.commented",
    ]
    assert [line["at"] for line in mine] == sorted(line["at"] for line in mine)
    assert mine[0]["data"] == {"status": "Pending", "slotId": slot["id"]}
    assert mine[4]["data"] == {"status": "Committed"}
    assert "secret sentence" not in (await ada.get(path)).text
    for person in (ada, cleo):
        for line in ok(await person.get(path)):
            assert (line["requestId"] is not None) == (line["actorId"] == person.id)
    assert all(line["requestId"] for line in ok(await op.get(path)))
    assert "the-request-of-ada" not in (await mel.get(f"/bids/{rival['id']}/events")).text
    first = await ada.get(path, params={"limit": 3})
    assert ok(first) == mine[:3]
    assert 'rel="next"' in first.headers["link"]
    refused(await mel.get(path), 404)
    refused(await world.nobody.get(path), 401)
