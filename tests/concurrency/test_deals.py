"""Races on deals: many at once, one effect, and nothing but the documented refusals."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
import httpx2
import pytest

from backend.core.config import Settings
from backend.core.database import Database
from backend.jobs import deadlines, worker
from tests.factories.people import Person
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
RIVALS = 32


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A connection for each rival, and patience."""
    return settings.model_copy(
        update={"db_pool_size": RIVALS + 4, "db_wait_seconds": 30.0, "jwt_expires_in": 365 * 86400}
    )


@asynccontextmanager
async def held_back(dsn: str, sql: Sql, waiting: int) -> AsyncIterator[None]:
    """Nobody writes to slots until `waiting` callers have queued for it; then all run at once."""
    holder = await asyncpg.connect(dsn)
    held = holder.transaction()
    await held.start()
    await holder.execute("LOCK TABLE slots IN EXCLUSIVE MODE")
    try:
        yield
        for _ in range(600):
            queued = await sql.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            if queued >= waiting:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(f"only {queued} of {waiting} queued")
    finally:
        await held.rollback()
        await holder.close()


async def together(
    dsn: str, sql: Sql, calls: list[Coroutine[Any, Any, httpx2.Response]], waiting: int | None = None
) -> list[httpx2.Response]:
    """All calls at the very same moment."""
    async with held_back(dsn, sql, waiting or len(calls)):
        tasks = [asyncio.create_task(call) for call in calls]
    return await asyncio.gather(*tasks)


def codes(responses: list[httpx2.Response]) -> Counter[str]:
    return Counter(
        str(each.status_code) if each.is_success else f"{each.status_code} {each.json()['code']}" for each in responses
    )


async def deadlocks(sql: Sql) -> int:
    found: int = await sql.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return found


def place(buyer: Person, slot: dict[str, Any], **more: Any) -> Coroutine[Any, Any, httpx2.Response]:
    return buyer.post(f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "x"}, **more)


async def test_of_many_rivals_on_one_reservation_one_holds(world: World, dsn: str, sql: Sql) -> None:
    slot = await world.slot(await world.creator(), modality="PG/Reservation")
    buyers = [await world.advertiser() for _ in range(RIVALS)]
    responses = await together(dsn, sql, [place(buyer, slot) for buyer in buyers])
    assert codes(responses) == {"201": 1, "409 slot_locked": RIVALS - 1}
    assert await sql.fetchval("SELECT count(*) FROM bids") == 1
    assert await deadlocks(sql) == 0


async def test_without_the_lock_the_stampede_goes_wrong(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race above is a real one: reading the slot instead of locking it lets rivals through to the constraints."""
    from backend.core.statements import Statement  # noqa: PLC0415
    from backend.services.bidding import placing  # noqa: PLC0415

    def unlocked(statement: Statement) -> Statement:
        reading = copy.copy(statement)
        reading.sql = statement.sql.split(" FOR UPDATE")[0]
        return reading

    locking = placing._lock_slot
    monkeypatch.setattr(placing, "_lock_slot", lambda role: unlocked(locking(role)))
    slot = await world.slot(await world.creator(), modality="PG/Reservation")
    buyers = [await world.advertiser() for _ in range(8)]
    responses = await together(dsn, sql, [place(buyer, slot) for buyer in buyers])
    assert codes(responses) != {"201": 1, "409 slot_locked": 7}
    assert await sql.fetchval("SELECT count(*) FROM bids WHERE must_hold") == 1, "PostgreSQL still lets one hold"


async def test_a_buyer_placing_many_at_once_stays_within_the_holds(world: World, dsn: str, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    slots = [await world.slot(cleo, project, modality="PG/Reservation") for _ in range(16)]
    responses = await together(dsn, sql, [place(ada, slot) for slot in slots])
    assert codes(responses) == {"201": 10, "409 too_many_holds": 6}


async def test_one_buyer_placing_the_same_again_and_again_has_one_bid(world: World, dsn: str, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    responses = await together(dsn, sql, [place(ada, slot) for _ in range(16)])
    assert codes(responses) == {"201": 1, "409 already_bid": 15}


async def test_of_many_approvals_for_one_slot_one_holds(world: World, dsn: str, sql: Sql) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo)
    bids = [await world.bid(await world.advertiser(), slot) for _ in range(12)]
    calls = [cleo.post(f"/bids/{bid['id']}/approve") for bid in bids for _ in range(2)]
    responses = await together(dsn, sql, calls)
    assert codes(responses) == {"200": 2, "409 slot_locked": 22}
    assert await sql.fetchval("SELECT count(*) FROM approvals") == 1
    assert await deadlocks(sql) == 0


async def test_both_sides_approving_at_once_make_it_accepted(world: World, dsn: str, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    calls = [person.post(f"/bids/{bid['id']}/approve") for person in (cleo, ada) for _ in range(8)]
    assert codes(await together(dsn, sql, calls)) == {"200": 16}
    assert ok(await ada.get(f"/bids/{bid['id']}"))["status"] == "Accepted"
    assert await sql.fetchval("SELECT count(*) FROM approvals") == 2


async def test_what_is_committed_is_what_both_approved(world: World, dsn: str, sql: Sql) -> None:
    for _ in range(4):
        cleo, ada = await world.creator(), await world.advertiser()
        bid = await world.bid(ada, await world.slot(cleo))
        await world.approve(cleo, bid)
        path = f"/bids/{bid['id']}"
        calls = [
            cleo.post(f"{path}/terms", {"baseVersion": 1, "amount": 9999}),
            ada.post(f"{path}/approve", {"termsVersion": 1}),
            ada.post(f"{path}/commit"),
            ada.post(f"{path}/terms", {"baseVersion": 1, "amount": 1001}),
        ]
        responses = await together(dsn, sql, calls)
        assert {each.status_code for each in responses} <= {200, 201, 409}
        bid = ok(await ada.get(path))
        commitments = ok(await ada.get("/commitments"))
        if commitments:
            assert (commitments[0]["amount"], bid["status"], bid["termsVersion"]) == (1500, "Committed", 1)
        else:
            assert bid["status"] in ("Pending", "Accepted")


async def test_committing_many_times_at_once_spends_once(world: World, dsn: str, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.accepted(cleo, ada)
    responses = await together(dsn, sql, [ada.post(f"/bids/{bid['id']}/commit") for _ in range(16)])
    assert codes(responses) == {"201": 16}
    assert len({each.content for each in responses}) == 1
    assert await sql.fetchval("SELECT count(*) FROM commitments") == 1


async def test_committing_and_removing_the_project_do_not_deadlock(world: World, dsn: str, sql: Sql) -> None:
    for _ in range(4):
        cleo, ada = await world.creator(), await world.advertiser()
        project = await world.project(cleo)
        slots = [await world.slot(cleo, project) for _ in range(2)]
        bid = await world.accepted(cleo, ada, slots[1])
        calls = [cleo.delete(f"/projects/{project['id']}"), ada.post(f"/bids/{bid['id']}/commit")]
        responses = await together(dsn, sql, calls)
        assert codes(responses) == {"409 slot_held": 1, "201": 1}
    assert await deadlocks(sql) == 0


async def test_a_bid_is_not_placed_on_a_slot_that_was_removed_meanwhile(world: World, dsn: str, sql: Sql) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo)
    buyers = [await world.advertiser() for _ in range(8)]
    calls = [*(place(buyer, slot) for buyer in buyers[:4]), cleo.delete(f"/slots/{slot['id']}")]
    calls += [place(buyer, slot) for buyer in buyers[4:]]
    responses = await together(dsn, sql, calls)
    assert set(codes(responses)) <= {"201", "204", "404 not_found"}
    assert await sql.fetchval("SELECT count(*) FROM bids WHERE status <> 'Declined'") == 0


async def test_the_same_key_many_times_at_once_has_one_effect_and_one_answer(world: World, dsn: str, sql: Sql) -> None:
    slot, ada = await world.slot(await world.creator()), await world.advertiser()
    calls = [place(ada, slot, headers={"Idempotency-Key": "same"}) for _ in range(20)]
    # All but the first wait for the key, not for the slot.
    responses = await together(dsn, sql, calls)
    assert codes(responses) == {"201": 20}
    assert len({each.content for each in responses}) == 1
    replayed = [each for each in responses if each.headers.get("idempotent-replayed") == "true"]
    assert len(replayed) == 19
    assert await sql.fetchval("SELECT count(*) FROM bids") == 1


async def test_timers_of_several_processes_write_each_row_once(world: World, database: Database, sql: Sql) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    buyers = [await world.advertiser() for _ in range(2)]
    for index in range(6):
        slot = await world.slot(cleo, project, modality="PG/Reservation" if index % 2 else "Private Auction")
        await world.bid(buyers[index % 2], slot)
    world.advance(days=20)
    written = await asyncio.gather(*(deadlines.expire_due(database) for _ in range(6)))
    assert sum(written) + await deadlines.expire_due(database) == 6
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'bid.expired'") == 6
    assert await sql.fetchval("SELECT count(*) FROM slots WHERE status <> 'Available'") == 0


async def test_the_timer_leaves_a_busy_slot_to_the_next_time(
    world: World, database: Database, dsn: str, sql: Sql
) -> None:
    slot = await world.slot(await world.creator())
    await world.bid(await world.advertiser(), slot)
    world.advance(days=20)
    async with sql.transaction():
        await sql.execute("SELECT FROM slots FOR UPDATE")
        assert await deadlines.expire_due(database) == 0
    assert await deadlines.expire_due(database) == 1


async def test_the_worker_survives_a_job_that_fails_and_stops_cleanly(database: Database) -> None:
    done = asyncio.Event()

    async def failing(_: Database) -> int:
        raise RuntimeError("broken")

    async def working(_: Database) -> int:
        done.set()
        return 0

    async with worker.running(database, [failing, working]):
        await asyncio.wait_for(done.wait(), 5)
