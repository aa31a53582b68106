"""Time: overdue counts as ended from its very instant, in reads, guards and refusals; it is written once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest

from backend.core.config import Settings
from backend.core.database import Database
from backend.jobs import deadlines
from backend.services import deals
from tests.factories.dumps import dump
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
MICROSECOND = timedelta(microseconds=1)
BODY = {"amount": 1500, "objective": "x"}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Tokens outlive the weeks that these tests let pass."""
    return settings.model_copy(update={"jwt_expires_in": 365 * 86400})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def view(bid: dict[str, Any]) -> tuple[Any, ...]:
    return bid["status"], bid["declineReason"], bid["holdsSlot"], bid["holdExpiresAt"], bid["slot"]["status"]


async def case_of(world: World, name: str) -> tuple[Person, Person, dict[str, Any], str, str]:
    """A deal in a state that ends by the clock: the field that says when, and the reason it then has."""
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo, modality="PG/Reservation" if name == "reserved" else "Private Auction")
    bid = await world.bid(ada, slot)
    match name:
        case "pending":
            return cleo, ada, bid, "expiresAt", "expired"
        case "reserved":
            return cleo, ada, bid, "holdExpiresAt", "hold_expired"
        case "held":
            return cleo, ada, await world.approve(cleo, bid), "holdExpiresAt", "hold_expired"
        case _:
            await world.approve(cleo, bid)
            return cleo, ada, await world.approve(ada, bid), "holdExpiresAt", "hold_expired"


@pytest.mark.parametrize("name", ["pending", "reserved", "held", "accepted"])
async def test_to_the_microsecond_reads_guards_and_refusals_agree_and_write_nothing(
    world: World, sql: Sql, name: str
) -> None:
    cleo, ada, bid, field, reason = await case_of(world, name)
    path, ends = f"/bids/{bid['id']}", moment(bid[field])
    world.freeze(ends - MICROSECOND)
    assert view(ok(await ada.get(path))) == view(bid)
    assert await world.expire() == 0
    world.freeze(ends)
    before = await dump(sql)
    gone = ("Declined", reason, False, None, "Available")
    seen = ok(await ada.get(path))
    assert view(seen) == gone
    assert seen["allowedActions"] == []
    assert ok(await ada.get("/bids", params={"status": "Declined"}))[0]["id"] == bid["id"]
    assert ok(await ada.get("/bids", params={"status": bid["status"]})) == []
    assert ok(await cleo.get("/bids", params={"awaiting": "me"})) == []
    assert ok(await ada.get("/slots", params={"status": "Available"}))[0]["id"] == bid["slotId"]
    for person, action, body in (
        (ada, "terms", {"baseVersion": 1, "amount": 2000}),
        (cleo, "approve", {}),
        (cleo, "decline", {"reason": "price"}),
        (ada, "withdraw", {}),
        (ada, "commit", {}),
    ):
        problem = refused(await person.post(f"{path}/{action}", body), 409, "wrong_state")
        assert (problem["currentStatus"], problem["allowedActions"]) == ("Declined", [])
    assert await dump(sql) == before
    assert await world.expire() == 1
    assert await world.expire() == 0
    written = ok(await ada.get(path))
    assert view(written) == gone
    assert moment(written["updatedAt"]) == ends
    [line] = await sql.fetch("SELECT * FROM events WHERE bid_id = $1 AND action = 'bid.expired'", bid["id"])
    assert (line["actor_role"], line["actor_id"], line["request_id"]) == ("System", None, None)


@pytest.mark.parametrize("name", ["pending", "reserved", "held", "accepted"])
async def test_at_the_last_microsecond_everything_still_goes(world: World, name: str) -> None:
    _, ada, bid, field, _ = await case_of(world, name)
    world.freeze(moment(bid[field]) - MICROSECOND)
    action = "commit" if name == "accepted" else "approve"
    assert (await ada.post(f"/bids/{bid['id']}/{action}")).is_success


async def test_a_new_bid_follows_an_own_one_that_ran_out(world: World, sql: Sql) -> None:
    _, ada, bid, _, _ = await case_of(world, "pending")
    world.advance(days=14)
    again = ok(await ada.post(f"/slots/{bid['slotId']}/bids", BODY))
    assert again["status"] == "Pending"
    row = await sql.fetchrow("SELECT status, decline_reason, updated_at FROM bids WHERE id = $1", bid["id"])
    assert row is not None
    assert tuple(row) == ("Declined", "expired", moment(bid["expiresAt"]))


async def test_an_auction_is_sold_another_way_once_its_bids_ran_out(world: World) -> None:
    cleo, ada, bid, _, _ = await case_of(world, "pending")
    path = f"/slots/{bid['slotId']}"
    refused(await cleo.patch(path, {"modality": "PG/Reservation"}), 409, "slot_frozen")
    world.advance(days=14)
    assert ok(await cleo.patch(path, {"modality": "PG/Reservation"}))["modality"] == "PG/Reservation"
    assert ok(await ada.post(f"{path}/bids", BODY))["holdsSlot"]


async def test_a_slot_whose_hold_ran_out_can_be_removed(world: World, sql: Sql) -> None:
    cleo, ada, bid, _, _ = await case_of(world, "held")
    mel = await world.merchant()
    other = ok(await mel.post(f"/slots/{bid['slotId']}/bids", BODY))
    refused(await cleo.delete(f"/slots/{bid['slotId']}"), 409, "slot_held")
    world.advance(days=3)
    ok(await cleo.delete(f"/slots/{bid['slotId']}"))
    assert ok(await ada.get(f"/bids/{bid['id']}"))["declineReason"] == "hold_expired"
    assert ok(await mel.get(f"/bids/{other['id']}"))["declineReason"] == "slot_removed"
    rows = await sql.fetch("SELECT actor_role FROM events WHERE action IN ('bid.closed', 'bid.expired')")
    assert {row["actor_role"] for row in rows} == {"System"}


@pytest.mark.parametrize("leaver", ["creator", "buyer"])
async def test_a_party_who_leaves_ends_the_live_deals_and_keeps_the_commitments(
    world: World, database: Database, sql: Sql, leaver: str
) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    project = await world.project(cleo)
    slots = [await world.slot(cleo, project) for _ in range(3)]
    reserved = await world.slot(cleo, project, modality="PG/Reservation")
    live, standby = await world.bid(ada, slots[0]), await world.bid(mel, slots[0])
    await world.approve(cleo, live)
    reservation = await world.bid(ada, reserved)
    overdue = await world.bid(ada, slots[2])
    commitment = await world.committed(cleo, ada, slots[1])
    await sql.execute("UPDATE bids SET expires_at = now() WHERE id = $1", overdue["id"])
    leaves = UUID((cleo if leaver == "creator" else ada).id)
    await database.change(lambda tx: deals.close_for_party(tx, leaves))
    for bid in (live, reservation):
        assert view(ok(await ada.get(f"/bids/{bid['id']}")))[:3] == ("Declined", "party_inactive", False)
    assert ok(await ada.get(f"/bids/{overdue['id']}"))["declineReason"] == "expired"
    expected = ("Declined", "party_inactive") if leaver == "creator" else ("Pending", None)
    assert view(ok(await mel.get(f"/bids/{standby['id']}")))[:2] == expected
    assert ok(await ada.get(f"/commitments/{commitment['id']}"))["status"] == "Active"
    rows = await sql.fetch("SELECT status FROM slots")
    assert sorted(row["status"] for row in rows) == ["Available", "Available", "Available", "Locked"]


async def test_a_slot_that_fails_keeps_no_other_waiting(world: World, database: Database, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    bids = [await world.bid(ada, await world.slot(cleo, project)) for _ in range(3)]
    await sql.execute(
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
        CREATE TRIGGER fail BEFORE UPDATE ON bids FOR EACH ROW WHEN (OLD.id = '{bids[0]["id"]}')
            EXECUTE FUNCTION fail();
        """
    )
    world.advance(days=20)
    assert await deadlines.expire_due(database) == 2
    await sql.execute("DROP TRIGGER fail ON bids")
    assert await deadlines.expire_due(database) == 1


async def test_the_command_writes_all_that_is_due(world: World, settings: Settings, dsn: str) -> None:
    await case_of(world, "held")
    world.advance(days=20)
    assert await deadlines.expire_all(dsn, settings) == 1
    assert await deadlines.expire_all(dsn, settings) == 0
