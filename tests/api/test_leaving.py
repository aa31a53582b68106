"""Deleting one's account."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import asyncpg
import pytest

from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import PASSWORD, World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def leave(person: Person, **headers: str) -> None:
    response = await person.delete("/auth/me", headers=headers)
    assert (response.status_code, response.content) == (204, b"")


async def test_who_leaves_is_signed_out_and_cannot_come_back(world: World) -> None:
    ada = await world.advertiser()
    other = await world.log_in("advertiser1@example.com")
    await leave(ada)
    for person in (ada, other):
        refused(await person.get("/auth/me"), 401, "session_ended")
        refused(await person.delete("/auth/me"), 401, "session_ended")
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}), 401, "session_ended")
    for email in ("advertiser1@example.com", f"{ada.id}@deleted.invalid"):
        for password in (PASSWORD, "!", ""):
            refused(await world.nobody.post("/auth/login", {"email": email, "password": password}), 401)


async def test_nothing_that_names_the_person_is_left_and_the_address_is_free(world: World, sql: Sql) -> None:
    mia = await world.merchant(name="Mia Marple", email="mia@example.com")
    await mia.patch("/auth/me", {"merchantProfile": {"minIntegrationFee": 5, "eligibilityRules": ["as Mia says"]}})
    ok(await world.nobody.post("/auth/forgot-password", {"email": "mia@example.com"}))
    await mia.post("/skus", {"title": "Thermos", "price": 1, "margin": 1}, headers={"Idempotency-Key": "once"})
    await leave(mia)
    for table in ("users", "events", "mails", "password_resets", "idempotency_keys", "sessions"):
        text = str(await sql.fetch(f"SELECT {table}::text FROM {table}"))
        for word in ("Marple", "mia@", "as Mia says"):
            assert word not in text, table
    row = await sql.fetchrow("SELECT is_active, deleted_at, email, name FROM users")
    assert row is not None
    assert (row["is_active"], row["deleted_at"] is not None) == (False, True)
    again = await world.merchant(name="Mia Marple", email="mia@example.com")
    assert again.id != mia.id


async def test_two_who_leave_keep_different_names(world: World, sql: Sql) -> None:
    for _ in range(2):
        await leave(await world.advertiser())
    assert await sql.fetchval("SELECT count(DISTINCT name) FROM users") == 2


async def test_leaving_is_on_the_record(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    await leave(ada)
    row = await sql.fetchrow(
        "SELECT actor_id::text, subject_id::text, data::text FROM events WHERE action = 'user.deleted'"
    )
    assert row is not None
    assert tuple(row) == (ada.id, ada.id, "{}")


async def test_nobody_cannot_leave_and_a_stale_version_is_refused(world: World) -> None:
    refused(await world.nobody.delete("/auth/me"), 401, "not_signed_in")
    ada = await world.advertiser()
    refused(await ada.delete("/auth/me", headers={"If-Match": '"old"'}), 412, "stale_version")
    await leave(ada, **{"If-Match": (await ada.get("/auth/me")).headers["etag"]})


@pytest.mark.parametrize("stage", ["Pending", "AwaitingFinalApproval", "Accepted", "Active", "Delivered"])
async def test_neither_side_leaves_a_live_deal(world: World, sql: Sql, stage: str) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    if stage in ("Active", "Delivered"):
        commitment = await world.committed(cleo, ada)
        if stage == "Delivered":
            ok(await cleo.post(f"/commitments/{commitment['id']}/deliver", {"note": "There"}))
    else:
        bid = await world.bid(ada, await world.slot(cleo))
        if stage != "Pending":
            await world.approve(ada, bid)
        if stage == "Accepted":
            await world.approve(cleo, bid)
    before = str(await sql.fetch("SELECT users::text FROM users ORDER BY id"))
    for person in (cleo, ada):
        refused(await person.delete("/auth/me"), 409, "live_deals")
        ok(await person.get("/auth/me"))
    assert str(await sql.fetch("SELECT users::text FROM users ORDER BY id")) == before


async def test_deals_that_are_over_keep_nobody(world: World) -> None:
    cleo, ada, mia = await world.creator(), await world.advertiser(), await world.merchant()
    bid = await world.bid(ada, await world.slot(cleo))
    ok(await ada.post(f"/bids/{bid['id']}/withdraw"))
    await world.bid(mia, await world.slot(cleo))
    world.advance(days=15)  # mia's bid has run out, whether or not that has been written
    await leave(await world.log_in("advertiser2@example.com"))
    await leave(await world.log_in("merchant3@example.com"))
    await leave(await world.log_in("creator1@example.com"))


async def test_a_delivery_confirmed_by_the_clock_keeps_nobody(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    commitment = await world.committed(cleo, ada)
    ok(await cleo.post(f"/commitments/{commitment['id']}/deliver", {"note": "There"}))
    world.advance(days=14)
    ada = await world.log_in("advertiser2@example.com")
    await leave(await world.log_in("creator1@example.com"))
    assert ok(await ada.get(f"/commitments/{commitment['id']}"))["status"] == "Completed"
    await leave(ada)


async def test_a_creators_slots_leave_every_list_and_the_story_stays_readable(world: World) -> None:
    cleo, ada = await world.creator(name="Cleo Creator"), await world.advertiser()
    slot = await world.slot(cleo)
    bid = await world.bid(ada, slot)
    ok(await cleo.post(f"/bids/{bid['id']}/decline", {"reason": "fit", "note": "Not this time."}))
    await leave(cleo)
    operator = await world.operator()
    for person in (ada, operator):
        assert ok(await person.get("/slots")) == []
    told = ok(await ada.get(f"/bids/{bid['id']}"))
    assert told["status"] == "Declined"
    [comment] = told["comments"]
    assert comment["authorName"].startswith("Former user ")
    refused(await ada.post(f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "x"}), 404)


async def test_a_buyer_who_left_can_be_invited_no_more(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo, visibility="Private")
    ok(await cleo.put(f"/slots/{slot['id']}/invitees", {"userIds": [ada.id]}))
    await leave(ada)
    assert ok(await cleo.get(f"/slots/{slot['id']}/invitees")) == {"userIds": []}
    assert ok(await cleo.get("/buyers")) == []


async def test_a_bid_placed_meanwhile_and_the_leave_exclude_each_other(world: World, sql: Sql) -> None:
    """Many rounds, both orders: never a live bid on the slot of someone who left."""
    for _ in range(10):
        cleo, ada = await world.creator(), await world.advertiser()
        slot = await world.slot(cleo)
        placed, left = await asyncio.gather(
            ada.post(f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "x"}), cleo.delete("/auth/me")
        )
        assert (placed.status_code, left.status_code) in {(201, 409), (404, 204)}, (placed.text, left.text)
    orphans = "SELECT count(*) FROM bids JOIN users ON users.id = creator_id WHERE status = 'Pending' AND NOT is_active"
    assert await sql.fetchval(orphans) == 0


async def test_leaving_twice_at_once_is_leaving_once(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    people = [ada, *[await world.log_in("advertiser1@example.com") for _ in range(3)]]
    answers = await asyncio.gather(*(each.delete("/auth/me") for each in people))
    assert sorted(each.status_code for each in answers) == [204, 401, 401, 401]
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'user.deleted'") == 1
