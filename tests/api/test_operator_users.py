"""Operators search accounts, deactivate them with everything that follows, and let them in again."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from tests.factories.people import Person
from tests.factories.world import PASSWORD, World, ok


async def names(person: Person, **filters: str) -> list[str]:
    return [each["name"] for each in ok(await person.get("/operator/users", params=filters))]


async def test_accounts_are_found_by_name_address_role_and_state(world: World) -> None:
    olga = await world.operator()
    cleo = await world.creator(name="Cleo 100%")
    await world.merchant(name="Mo Übermaß")
    await world.advertiser(name="Ada")
    assert await names(olga) == ["Ada", "Mo Übermaß", "Cleo 100%", "Op Erator"]
    assert await names(olga, q="übermass") == []
    assert await names(olga, q="ÜBER") == ["Mo Übermaß"]
    assert await names(olga, q="100%") == ["Cleo 100%"]
    assert await names(olga, q="creator2@") == ["Cleo 100%"]
    assert await names(olga, q="CREATOR2@example.com") == ["Cleo 100%"]
    assert await names(olga, q="@example.c") == ["Ada", "Mo Übermaß", "Cleo 100%", "Op Erator"]
    assert await names(olga, q="cleo creator2") == ["Cleo 100%"]
    assert await names(olga, q="reator2") == []
    assert await names(olga, role="Operator") == ["Op Erator"]
    assert await names(olga, role="Merchant", isActive="false") == []
    ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": False}))
    assert await names(olga, isActive="false") == ["Cleo 100%"]
    assert len(ok(await olga.get("/operator/users", params={"limit": "1"}))) == 1
    assert (await olga.get("/operator/users", params={"role": "Boss"})).status_code == 422
    assert (await olga.get("/operator/users", params={"q": "a\x00b"})).status_code == 422


async def test_an_account_shows_no_secret(world: World) -> None:
    olga = await world.operator()
    [found] = ok(await olga.get("/operator/users"))
    assert set(found) == {"id", "email", "name", "role", "isActive", "createdAt", "deletedAt"}


async def test_to_others_no_account_is_there(world: World) -> None:
    cleo = await world.creator()
    assert (await world.nobody.patch(f"/operator/users/{cleo.id}", {"isActive": False})).status_code == 401
    for person in (cleo, await world.advertiser(), await world.merchant()):
        for user_id in (cleo.id, "0199a3c0-0000-7000-8000-000000000000"):
            refused = await person.patch(f"/operator/users/{user_id}", {"isActive": False})
            assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert ok(await cleo.get("/auth/me"))["id"] == cleo.id
    olga = await world.operator()
    missing = await olga.patch("/operator/users/0199a3c0-0000-7000-8000-000000000000", {"isActive": False})
    assert missing.status_code == 404


@pytest.mark.parametrize("body", [{}, {"isActive": None}, {"isActive": "no"}, {"isActive": False, "role": "Operator"}])
async def test_only_is_active_can_be_said(world: World, body: dict[str, object]) -> None:
    olga, cleo = await world.operator(), await world.creator()
    refused = await olga.patch(f"/operator/users/{cleo.id}", body)
    assert refused.status_code == 422
    assert ok(await cleo.get("/auth/me"))


async def test_nobody_deactivates_themselves(world: World) -> None:
    olga, other = await world.operator(), await world.operator()
    refused = await olga.patch(f"/operator/users/{olga.id}", {"isActive": False})
    assert (refused.status_code, refused.json()["code"]) == (409, "own_account")
    assert ok(await olga.patch(f"/operator/users/{olga.id}", {"isActive": True}))["isActive"] is True
    assert ok(await olga.patch(f"/operator/users/{other.id}", {"isActive": False}))["isActive"] is False
    assert (await other.get("/operator/users")).status_code == 401


async def test_deactivation_ends_sessions_and_keeps_out_until_reactivation(world: World) -> None:
    olga, cleo = await world.operator(), await world.creator()
    assert cleo.user is not None
    found = ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": False}))
    assert found["isActive"] is False
    assert (await cleo.get("/auth/me")).status_code == 401
    assert (await cleo.post("/slots", {})).status_code == 401
    login = {"email": cleo.user["email"], "password": PASSWORD}
    assert (await world.nobody.post("/auth/login", login)).status_code == 401
    ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": True}))
    assert (await cleo.get("/auth/me")).status_code == 401, "the sessions of before stay ended"
    assert ok(await (await world.log_in(cleo.user["email"])).get("/auth/me"))["id"] == cleo.id


async def test_a_deactivated_buyers_live_bids_end_and_the_commitment_waits(world: World) -> None:
    olga, cleo, ada, bea = [
        await world.operator(),
        await world.creator(),
        await world.advertiser(),
        await world.advertiser(),
    ]
    slot = await world.slot(cleo)
    held, standby = await world.bid(ada, slot), await world.bid(bea, slot)
    await world.approve(cleo, held)
    commitment = await world.committed(cleo, ada)
    ok(await olga.patch(f"/operator/users/{ada.id}", {"isActive": False}))
    ended = ok(await cleo.get(f"/bids/{held['id']}"))
    assert (ended["status"], ended["declineReason"], ended["slot"]["status"]) == (
        "Declined",
        "party_inactive",
        "Available",
    )
    assert ok(await bea.get(f"/bids/{standby['id']}"))["status"] == "Pending", "rivals go on"
    assert ok(await cleo.get(f"/commitments/{commitment['id']}"))["status"] == "Active"
    closed = ok(await olga.get("/operator/events", params={"subjectId": held["id"]}))[0]
    assert (closed["actorRole"], closed["actorId"], closed["data"]["reason"]) == ("System", None, "party_inactive")


async def test_a_deactivated_creators_slots_leave_every_list_and_bids_on_them_end(world: World) -> None:
    olga, cleo, ada = await world.operator(), await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    bid = await world.bid(ada, slot)
    ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": False}))
    assert ok(await ada.get("/slots")) == []
    assert ok(await olga.get("/slots")) == []
    assert (await ada.get(f"/slots/{slot['id']}")).status_code == 404
    assert ok(await ada.get(f"/bids/{bid['id']}"))["declineReason"] == "party_inactive"
    ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": True}))
    assert [each["id"] for each in ok(await ada.get("/slots"))] == [slot["id"]]
    assert ok(await ada.get(f"/bids/{bid['id']}"))["status"] == "Declined", "what has ended stays so"


async def test_the_same_twice_is_recorded_once(world: World) -> None:
    olga, cleo = await world.operator(), await world.creator()
    for is_active in (False, False, True, True):
        ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": is_active}))
    found = ok(await olga.get("/operator/events", params={"subjectId": cleo.id, "actorId": olga.id}))
    assert [each["action"] for each in found] == ["user.reactivated", "session.ended", "user.deactivated"]


async def test_a_stale_version_is_refused(world: World) -> None:
    olga, cleo = await world.operator(), await world.creator()
    path = f"/operator/users/{cleo.id}"
    first = await olga.patch(path, {"isActive": True})
    etag = {"If-Match": first.headers["etag"]}
    ok(await olga.call("PATCH", path, json={"isActive": False}, headers=etag))
    stale = await olga.call("PATCH", path, json={"isActive": True}, headers=etag)
    assert stale.status_code == 412


async def test_a_deleted_account_does_not_come_back(world: World, sql: asyncpg.Connection[asyncpg.Record]) -> None:
    olga, cleo = await world.operator(), await world.creator()
    await sql.execute("UPDATE users SET is_active = false, deleted_at = now() WHERE id = $1", cleo.id)
    refused = await olga.patch(f"/operator/users/{cleo.id}", {"isActive": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "user_deleted")
    ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": False}))


async def test_whatever_is_under_way_a_deactivated_user_is_left_without_live_bids(
    world: World, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    olga, cleo = await world.operator(), await world.creator()
    slots = [await world.slot(cleo) for _ in range(6)]
    for _ in range(8):
        ada, bea = await world.advertiser(), await world.advertiser()
        kept = await world.bid(bea, slots[0])
        calls = [ada.post(f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "Awareness"}) for slot in slots]
        calls.insert(3, olga.patch(f"/operator/users/{ada.id}", {"isActive": False}))
        answers = await asyncio.gather(*calls)
        assert {each.status_code for each in answers} <= {200, 201, 401}
        live = "SELECT count(*) FROM bids WHERE buyer_id = $1 AND status <> 'Declined'"
        assert await sql.fetchval(live, ada.id) == 0
        assert await sql.fetchval(live, bea.id) == 1
        ok(await bea.post(f"/bids/{kept['id']}/withdraw"))


async def test_two_operators_who_deactivate_each_other_do_not_both_succeed(world: World) -> None:
    for _ in range(5):
        olga, otto = await world.operator(), await world.operator()
        answers = await asyncio.gather(
            olga.patch(f"/operator/users/{otto.id}", {"isActive": False}),
            otto.patch(f"/operator/users/{olga.id}", {"isActive": False}),
        )
        assert sorted(each.status_code for each in answers) in ([200, 401], [200, 503])
