"""The counts of I1–I8 see what is wrong even where the guards that prevent it are gone."""

from __future__ import annotations

import asyncpg
import pytest

from backend.core.database import Database
from backend.services import invariants, maintenance
from tests.factories.world import World, ok

# Triggers and foreign keys off, as after a restore gone wrong; each plant drops the constraints in its way.
UNGUARDED = "SET session_replication_role = replica"
APPROVE = """
    INSERT INTO approvals (bid_id, terms_version, side, user_id, created_at)
    SELECT id, terms_version, '{side}', buyer_id, now() FROM bids WHERE id = '{bid}'
"""
PLANTS: dict[str, tuple[str, list[str]]] = {
    "two holders of a slot": (
        "I1",
        [
            APPROVE.replace("{side}", "creator").replace("{bid}", "{rival}"),
            "UPDATE bids SET status = 'AwaitingFinalApproval', creator_approved_version = 1 WHERE id = '{rival}'",
        ],
    ),
    "a held slot that says Available": (
        "I2",
        ["UPDATE slots SET status = 'Available', holder_bid_id = NULL, hold_expires_at = NULL WHERE id = '{slot}'"],
    ),
    "a slot Completed without a completed commitment": (
        "I2",
        ["UPDATE slots SET status = 'Completed', hold_expires_at = NULL WHERE id = '{slot}'"],
    ),
    "a slot held by a bid that has ended": (
        "I2",
        ["UPDATE bids SET status = 'Declined', decline_reason = 'price' WHERE id = '{bid}'"],
    ),
    "a status above its approvals": (
        "I3",
        [
            "ALTER TABLE bids DROP CONSTRAINT ck_bids_status_counts_approvals",
            "UPDATE bids SET status = 'Accepted' WHERE id = '{rival}'",
        ],
    ),
    "an approval that nobody counts": ("I3", [APPROVE.replace("{side}", "buyer").replace("{bid}", "{rival}")]),
    "terms below the floor": (
        "I4",
        [
            "ALTER TABLE terms DROP CONSTRAINT ck_terms_amount_not_below_floor",
            "UPDATE terms SET amount = 1 WHERE bid_id = '{rival}'",
        ],
    ),
    "terms that nobody wrote": (
        "I4",
        [
            "INSERT INTO terms SELECT bid_id, version + 1, side, author_id, floor, amount, amount_terms, objective,"
            " created_at FROM terms WHERE bid_id = '{rival}'",
        ],
    ),
    "two bids of a buyer on a slot": (
        "I5",
        [
            "DROP INDEX uq_bids_buyer_id_slot_id_undeclined",
            "UPDATE bids SET buyer_id = (SELECT buyer_id FROM bids WHERE id = '{bid}') WHERE id = '{rival}'",
        ],
    ),
    "Declined without a reason": (
        "I6",
        [
            "ALTER TABLE bids DROP CONSTRAINT ck_bids_declined_has_reason",
            "UPDATE bids SET decline_reason = NULL WHERE id = '{declined}'",
        ],
    ),
    "back from Declined": (
        "I6",
        ["UPDATE bids SET status = 'Pending', decline_reason = NULL WHERE id = '{declined}'"],
    ),
    "a commitment that is gone": ("I7", ["DELETE FROM commitments WHERE bid_id = '{sold}'"]),
    "a commitment of another amount": ("I7", ["UPDATE commitments SET amount = amount + 0.01 WHERE bid_id = '{sold}'"]),
    "a commitment of a bid that is not Committed": (
        "I7",
        ["UPDATE bids SET status = 'Accepted' WHERE id = '{sold}'"],
    ),
    "a change without its event": (
        "I8",
        ["UPDATE slots SET status = 'Locked', holder_bid_id = gen_random_uuid() WHERE id = '{free}'"],
    ),
    "an event that is gone": ("I8", ["DELETE FROM events WHERE subject_id = '{rival}'"]),
    "a name in an event": (
        "I8",
        [
            "ALTER TABLE events DROP CONSTRAINT ck_events_data_closed",
            'UPDATE events SET data = \'{"note": ["Ada Ads"]}\' WHERE id = (SELECT min(id::text)::uuid FROM events)',
        ],
    ),
}


async def floor(world: World) -> dict[str, str]:
    """A held slot with a rival standing by, a slot that is free again, and one that is sold."""
    cleo, ada, bea = await world.creator(), await world.advertiser(), await world.merchant()
    slot, free = await world.slot(cleo), await world.slot(cleo)
    bid, rival = await world.bid(ada, slot), await world.bid(bea, slot)
    await world.approve(cleo, bid)
    declined = await world.bid(ada, free)
    ok(await cleo.post(f"/bids/{declined['id']}/decline", {"reason": "fit"}))
    sold = await world.committed(cleo, ada)
    return {
        "slot": slot["id"],
        "free": free["id"],
        "bid": bid["id"],
        "rival": rival["id"],
        "declined": declined["id"],
        "sold": sold["bidId"],
    }


def filled(statement: str, ids: dict[str, str]) -> str:
    """The statement with the ids of the floor; braces of JSON stay."""
    for name, value in ids.items():
        statement = statement.replace(f"{{{name}}}", value)
    return statement


async def broken(database: Database) -> dict[str, int]:
    async with database.reading() as db:
        return {each.id: count for each, count in await invariants.violations(db) if count}


async def test_a_busy_floor_breaks_nothing(world: World, database: Database) -> None:
    await floor(world)
    assert await broken(database) == {}
    assert [each.id for each in invariants.INVARIANTS] == [f"I{number}" for number in range(1, 9)]


@pytest.mark.parametrize("name", PLANTS)
async def test_a_planted_violation_is_counted(
    world: World, database: Database, sql: asyncpg.Connection[asyncpg.Record], name: str
) -> None:
    ids = await floor(world)
    invariant, statements = PLANTS[name]
    await sql.execute(UNGUARDED)
    for statement in statements:
        planted = await sql.execute(filled(statement, ids))
        assert planted not in ("UPDATE 0", "DELETE 0", "INSERT 0 0"), statement
    assert (await broken(database)).get(invariant, 0) >= 1


async def test_check_names_the_broken_invariant(
    world: World, dsn: str, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    ids = await floor(world)
    findings = await maintenance.check(dsn, world.database.settings)
    assert all(each.ok for each in findings)
    await sql.execute(UNGUARDED)
    await sql.execute(f"DELETE FROM commitments WHERE bid_id = '{ids['sold']}'")
    wrong = [each for each in await maintenance.check(dsn, world.database.settings) if not each.ok]
    assert [each.what for each in wrong] == ["invariant I7"]
