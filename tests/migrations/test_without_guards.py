"""I1–I8 with their guards taken away: the bad state is there, and the counts of `services/invariants` see it.

So the guards are what keeps it out (`test_guards.py`), and an installation that has lost one is told of it.
"""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import asyncpg
import pytest

from backend.core.ids import new_id
from backend.services.invariants import INVARIANTS
from tests.factories.world import World
from tests.faults import invariants
from tests.faults.arena import connected
from tests.migrations.test_guards import BAD, BID, TERMS, Scene

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


def constraint(table: str, name: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {name};"


def trigger(table: str, name: str) -> str:
    return f"ALTER TABLE {table} DISABLE TRIGGER {name};"


EVENT_OF_BID = trigger("bids", "guard_event_of_update")
STEPS_OF_BIDS = trigger("bids", "guard_transitions")
# What is broken: the guards that stand before it, and the statements.
WITHOUT: dict[str, tuple[str, str, str]] = {
    "two bids hold one slot": ("I1", constraint("bids", "fk_bids_hold"), BAD["two bids that must hold one slot"][0]),
    "a holder without its slot": ("I2", constraint("bids", "fk_bids_hold"), BAD["a holder that loses its slot"][0]),
    "Completed too soon": (
        "I2",
        constraint("slots", "fk_slots_completed"),
        BAD["Completed without a completed commitment"][0],
    ),
    "Locked without a holder": (
        "I2",
        constraint("slots", "ck_slots_held_unless_available"),
        "UPDATE slots SET status = 'Locked' WHERE id = :free; EVENT(slot free, Locked)",
    ),
    "a status without its approval": (
        "I3",
        constraint("bids", "ck_bids_status_counts_approvals"),
        "UPDATE bids SET status = 'AwaitingFinalApproval' WHERE id = :pending;"
        "EVENT(bid pending, AwaitingFinalApproval)",
    ),
    "an approval that nobody gave": (
        "I3",
        constraint("bids", "fk_bids_buyer_approval"),
        BAD["an approval that nobody gave"][0],
    ),
    "terms changed": (
        "I4",
        trigger("terms", "guard_append_only") + constraint("terms", "ck_terms_amount_not_below_floor"),
        BAD["terms changed"][0],
    ),
    "an amount below the floor": (
        "I4",
        constraint("terms", "ck_terms_amount_not_below_floor"),
        TERMS.format("pending", 2, "buyer", "ada", 1000, "999.99")
        + "UPDATE bids SET terms_version = 2 WHERE id = :pending; EVENT(bid pending, Pending)",
    ),
    "a second bid on the slot": (
        "I5",
        "DROP INDEX uq_bids_buyer_id_slot_id_undeclined;",
        BID.format("free", "ada", "Private Auction", "Pending", 1).replace("gen_random_uuid()", ":second")
        + TERMS.format("second", 1, "buyer", "ada", 1000, 1500)
        + "EVENT(bid second, Pending)",
    ),
    "Declined without a reason": (
        "I6",
        constraint("bids", "ck_bids_declined_has_reason"),
        BAD["Declined without a reason"][0] + "; EVENT(bid pending, Declined)",
    ),
    "Declined and live again": (
        "I6",
        STEPS_OF_BIDS,
        BAD["Declined and live again"][0] + "; EVENT(bid declined, Pending)",
    ),
    "Committed without a commitment": (
        "I7",
        constraint("bids", "fk_bids_commitment"),
        BAD["Committed without a commitment"][0],
    ),
    "a commitment of another amount": (
        "I7",
        trigger("commitments", "guard_transitions") + constraint("commitments", "fk_commitments_terms"),
        BAD["a commitment of another amount afterwards"][0],
    ),
    "a change without its event": ("I8", EVENT_OF_BID, BAD["a change of state without its event"][0]),
    "an event with a sentence": (
        "I8",
        constraint("events", "ck_events_data_closed"),
        BAD["an event with a sentence"][0],
    ),
}


async def test_without_its_guard_the_bad_state_is_there_and_is_counted(world: World, sql: Sql) -> None:
    scene = Scene(world, sql)
    await scene.build()
    scene.ids["second"] = str(new_id())
    counts = {each.id: each.count.sql for each in INVARIANTS}
    unseen = []
    for name, (broken, guards, statements) in WITHOUT.items():
        transaction = sql.transaction()
        await transaction.start()
        await sql.execute(guards)
        await sql.execute(scene.write(statements))
        await sql.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no other guard stands in the way
        if not await sql.fetchval(counts[broken]):
            unseen.append(name)
        await transaction.rollback()
    assert unseen == []
    assert {broken for broken, _, _ in WITHOUT.values()} == set(counts)


@pytest.mark.parametrize("guarded", [True, False])
async def test_two_who_move_one_end_each_of_a_hold_cannot_both_pass(
    world: World, sql: Sql, dsn: str, guarded: bool
) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    bid = await world.bid(buyer, await world.slot(creator))
    await world.approve(creator, bid)
    if not guarded:
        await sql.execute("DROP TRIGGER guard_hold_end ON slots; DROP TRIGGER guard_hold_end ON bids")
    refused = 0
    async with connected(dsn) as one, connected(dsn) as two:
        moves = [one.transaction(), two.transaction()]
        for each in moves:
            await each.start()
        await one.execute("UPDATE slots SET hold_expires_at = now() + interval '9 days' WHERE id = $1", bid["slotId"])
        await two.execute("UPDATE bids SET expires_at = now() + interval '5 days' WHERE id = $1", bid["id"])
        for outcome in await asyncio.gather(*(each.commit() for each in moves), return_exceptions=True):
            assert outcome is None or isinstance(outcome, asyncpg.CheckViolationError | asyncpg.DeadlockDetectedError)
            refused += outcome is not None
    assert refused == (1 if guarded else 0)
    broken = await invariants.violations(sql)
    assert list(broken) == ([] if guarded else ["I2 a hold ends with its bid at the latest"])
