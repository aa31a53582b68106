"""I1–I8 inside PostgreSQL: every bad state tried by SQL is refused, by the guard that is meant to refuse it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.models.bids import BID_MACHINE
from backend.models.commitments import COMMITMENT_MACHINE
from backend.models.slots import SLOT_MACHINE
from tests.factories.dumps import dump
from tests.factories.people import Person
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
VERSIONS = Path(__file__).parents[2] / "alembic" / "versions"


def migration(slug: str) -> ModuleType:
    [path] = VERSIONS.glob(f"*_{slug}.py")
    spec = importlib.util.spec_from_file_location(slug, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_steps_that_postgresql_permits_are_those_of_the_tables() -> None:
    steps = migration("guard_deals").STEPS
    assert set(steps["bids"]) == BID_MACHINE.steps()
    assert set(steps["slots"]) == SLOT_MACHINE.steps()
    assert set(steps["commitments"]) == COMMITMENT_MACHINE.steps()
    written_out = re.findall(r"\('(\w+)', '(\w+)'\)", migration("tighten_guards").BID_STEPS)
    assert set(written_out) == BID_MACHINE.steps()


class Scene:
    """Two auctions and a reservation with deals in every state, and SQL to break them with."""

    def __init__(self, world: World, sql: Sql) -> None:
        self.world = world
        self.sql = sql
        self.ids: dict[str, str] = {}

    async def build(self) -> None:
        world = self.world
        cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
        other = await world.creator()
        project, elsewhere = await world.project(cleo), await world.project(other)
        self.keep(cleo=cleo, ada=ada, mel=mel, other=other, project=project, elsewhere=elsewhere)
        sku = await world.sku(mel)
        free = await world.slot(cleo, project)
        held = await world.slot(cleo, project)
        reserved = await world.slot(cleo, project, modality="PG/Reservation")
        sold, placed, done = [await world.slot(cleo, project) for _ in range(3)]
        self.keep(free=free, held=held, reserved=reserved, sold=sold, placed=placed, done=done, sku=sku)
        self.keep(pending=await world.bid(ada, free, message="Hello."), rival=await world.bid(mel, free))
        self.keep(holder=await world.bid(ada, held), standby=await world.bid(mel, held, skuIds=[sku["id"]]))
        await world.approve(cleo, {"id": self.ids["holder"]})
        self.keep(reservation=await world.bid(ada, reserved))
        commitment = await world.committed(cleo, ada, sold)
        self.keep(commitment=commitment, committed={"id": commitment["bidId"]})
        for name, confirm in (("placed", False), ("done", True)):
            made = await world.committed(cleo, ada, placed if name == "placed" else done)
            ok(await cleo.post(f"/commitments/{made['id']}/deliver", {"note": "There."}))
            if confirm:
                ok(await ada.post(f"/commitments/{made['id']}/confirm"))
            self.keep(**{f"{name}_commitment": made, f"{name}_bid": {"id": made["bidId"]}})
        gone = await world.bid(ada, await world.slot(cleo, project))
        ok(await cleo.post(f"/bids/{gone['id']}/decline", {"reason": "fit"}))
        self.keep(declined=gone)

    def keep(self, **things: Person | dict[str, Any]) -> None:
        self.ids |= {
            name: thing.id if isinstance(thing, Person) else str(thing["id"]) for name, thing in things.items()
        }

    def write(self, statement: str) -> str:
        """`:name` is an id; `EVENT(type name, status)` is the event that a change needs."""
        statement = re.sub(
            r"EVENT\((\w+) (\w+), (\w+)\)",
            r"INSERT INTO events (id, at, actor_role, action, subject_type, subject_id, status, data)"
            r" VALUES (gen_random_uuid(), now(), 'System', '\1.changed', '\1', :\2, '\3', '{}')",
            statement,
        )
        return re.sub(r"(?<!:):([a-z_]+)", lambda match: f"'{self.ids[match[1]]}'", statement)

    async def refused_by(self, statements: str) -> str | None:
        """The constraint that refuses these statements in one transaction; everything is as before."""
        before = await dump(self.sql)
        try:
            async with self.sql.transaction():
                await self.sql.execute(self.write(statements))
        except asyncpg.IntegrityConstraintViolationError as error:
            assert await dump(self.sql) == before
            return str(error.constraint_name)
        return None


APPROVAL = (
    "INSERT INTO approvals (bid_id, terms_version, side, user_id, created_at) VALUES (:{}, {}, '{}', :{}, now());"
)
TERMS = (
    "INSERT INTO terms (bid_id, version, side, author_id, floor, amount, amount_terms, objective, created_at)"
    " VALUES (:{}, {}, '{}', :{}, {}, {}, 'x', 'x', now());"
)
BID = (
    "INSERT INTO bids (id, slot_id, creator_id, buyer_id, modality, status, terms_version, expires_at, created_at,"
    " updated_at) VALUES (gen_random_uuid(), :{}, :cleo, :{}, '{}', '{}', {}, now(), now(), now());"
)
COMMITMENT = (
    "INSERT INTO commitments (id, bid_id, terms_version, slot_id, project_id, creator_id, buyer_id, amount, status,"
    " deliver_by, created_at, updated_at)"
    " VALUES (gen_random_uuid(), :{}, {}, :{}, :{}, :cleo, :ada, {}, '{}', now(), now(), now());"
)
APPROVE = APPROVAL.format("pending", 1, "creator", "cleo")

BAD: dict[str, tuple[str, str]] = {
    # I1, I2: the hold.
    "two bids that must hold one slot": (
        APPROVAL.format("standby", 1, "creator", "cleo")
        + "UPDATE bids SET creator_approved_version = 1, status = 'AwaitingFinalApproval' WHERE id = :standby;"
        "EVENT(bid standby, AwaitingFinalApproval)",
        "fk_bids_hold",
    ),
    "a hold by a bid that need not hold": (
        "UPDATE slots SET status = 'Locked', holder_bid_id = :pending, hold_expires_at = now() WHERE id = :free;"
        "EVENT(slot free, Locked)",
        "fk_slots_holder",
    ),
    "a hold by a bid of another slot": (
        "UPDATE slots SET status = 'Locked', holder_bid_id = :reservation, hold_expires_at = now() WHERE id = :free;"
        "EVENT(slot free, Locked)",
        "fk_slots_holder",
    ),
    "a hold by a declined bid": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'price' WHERE id = :holder; EVENT(bid holder, Declined)",
        "fk_slots_holder",
    ),
    "a holder that loses its slot": (
        "UPDATE slots SET status = 'Available', holder_bid_id = NULL, hold_expires_at = NULL WHERE id = :held;"
        "EVENT(slot held, Available)",
        "fk_bids_hold",
    ),
    "a reservation without its hold": (
        BID.format("reserved", "mel", "PG/Reservation", "Pending", 1),
        "fk_bids_hold|fk_bids_current_terms|state_has_event",
    ),
    "Locked without a holder": (
        "UPDATE slots SET status = 'Locked' WHERE id = :free",
        "ck_slots_held_unless_available",
    ),
    "a holder on an Available slot": (
        "UPDATE slots SET holder_bid_id = :pending WHERE id = :free",
        "ck_slots_held_unless_available",
    ),
    "a hold's end without a hold": (
        "UPDATE slots SET hold_expires_at = now() WHERE id = :free",
        "ck_slots_hold_ends_only_when_locked",
    ),
    "a hold without an end before Committed": (
        "UPDATE slots SET hold_expires_at = NULL WHERE id = :held",
        "fk_slots_holder",
    ),
    "a hold that ends after its bid": (
        "UPDATE slots SET hold_expires_at = now() + interval '99 days' WHERE id = :held",
        "hold_ends_with_its_bid",
    ),
    "a bid that ends before its hold": (
        "UPDATE bids SET expires_at = created_at WHERE id = :holder",
        "hold_ends_with_its_bid",
    ),
    "a hold with an end once Committed": (
        "UPDATE slots SET hold_expires_at = now() WHERE id = :sold",
        "fk_slots_holder",
    ),
    "Completed without a completed commitment": (
        "UPDATE slots SET status = 'Completed' WHERE id = :sold; EVENT(slot sold, Completed)",
        "fk_slots_completed",
    ),
    "a completed commitment on a Locked slot": (
        "UPDATE slots SET completes_at = NULL WHERE id = :placed;"
        "UPDATE commitments SET status = 'Completed', completed_at = now() WHERE id = :placed_commitment;"
        "EVENT(commitment placed_commitment, Completed)",
        "fk_commitments_completed_slot",
    ),
    "Available while a bid on it is Committed": (
        "UPDATE slots SET status = 'Available', holder_bid_id = NULL, hold_expires_at = NULL WHERE id = :sold;"
        "EVENT(slot sold, Available)",
        "fk_bids_hold",
    ),
    "Completed and then Available": (
        "UPDATE slots SET status = 'Available', holder_bid_id = NULL WHERE id = :done; EVENT(slot done, Available)",
        "transition_in_table",
    ),
    "a completion by the clock before delivery": (
        "UPDATE slots SET completes_at = now() WHERE id = :sold",
        "fk_slots_completing",
    ),
    "another completion than confirmBy": (
        "UPDATE slots SET completes_at = now() WHERE id = :placed",
        "fk_slots_completing|fk_commitments_completing_slot",
    ),
    "a delivery that its slot does not know": (
        "UPDATE slots SET completes_at = NULL WHERE id = :placed",
        "fk_commitments_completing_slot",
    ),
    "a held slot removed": ("UPDATE slots SET removed_at = now() WHERE id = :held", "ck_slots_removed_is_not_held"),
    "a slot sold another way than was bid on": (
        "UPDATE slots SET modality = 'PG/Reservation' WHERE id = :free",
        "fk_bids_modality",
    ),
    # I3: approvals.
    "a status without its approval": (
        "UPDATE bids SET status = 'AwaitingFinalApproval' WHERE id = :pending",
        "ck_bids_status_counts_approvals",
    ),
    "an approval that nobody gave": (
        "UPDATE bids SET status = 'AwaitingFinalApproval', buyer_approved_version = 1 WHERE id = :pending;"
        "EVENT(bid pending, AwaitingFinalApproval)",
        "fk_bids_buyer_approval",
    ),
    "an approval by the creator that nobody gave": (
        "UPDATE bids SET status = 'AwaitingFinalApproval', creator_approved_version = 1 WHERE id = :pending;"
        "UPDATE slots SET status = 'Locked', holder_bid_id = :pending, hold_expires_at = now() WHERE id = :free;"
        "EVENT(bid pending, AwaitingFinalApproval); EVENT(slot free, Locked)",
        "fk_bids_creator_approval",
    ),
    "an approval that does not count": (APPROVE, "approval_counts"),
    "an approval of terms that are not there": (APPROVAL.format("pending", 2, "buyer", "ada"), "fk_approvals_terms"),
    "an approval given twice": (
        APPROVAL.format("holder", 1, "creator", "cleo"),
        "pk_approvals",
    ),
    "an approval by another buyer": (APPROVAL.format("pending", 1, "buyer", "mel"), "given_by_its_side"),
    "an approval by the other side": (APPROVAL.format("pending", 1, "buyer", "cleo"), "given_by_its_side"),
    "an approval taken back": (
        "UPDATE bids SET status = 'Pending', creator_approved_version = NULL WHERE id = :holder;"
        "UPDATE slots SET status = 'Available', holder_bid_id = NULL, hold_expires_at = NULL WHERE id = :held;"
        "EVENT(bid holder, Pending); EVENT(slot held, Available)",
        "approvals_stay",
    ),
    "an approval of an older version that counts": (
        TERMS.format("holder", 2, "buyer", "ada", 1000, 1600)
        + "UPDATE bids SET terms_version = 2 WHERE id = :holder; EVENT(bid holder, AwaitingFinalApproval)",
        "ck_bids_approvals_are_of_current_terms|versions_follow",
    ),
    "an approval changed": ("UPDATE approvals SET created_at = now() WHERE bid_id = :holder", "append_only"),
    "an approval deleted": ("DELETE FROM approvals WHERE bid_id = :holder", "append_only"),
    "Accepted with one approval": (
        "UPDATE bids SET status = 'Accepted' WHERE id = :holder",
        "ck_bids_status_counts_approvals",
    ),
    # I4: terms.
    "terms changed": ("UPDATE terms SET amount = 1 WHERE bid_id = :pending", "append_only"),
    "terms deleted": ("DELETE FROM terms WHERE bid_id = :pending", "append_only"),
    "a table of terms emptied": ("TRUNCATE terms CASCADE", "append_only"),
    "an amount below the floor": (
        TERMS.format("pending", 2, "buyer", "ada", 1000, "999.99"),
        "ck_terms_amount_not_below_floor",
    ),
    "a floor that is not the slot's": (TERMS.format("pending", 2, "buyer", "ada", 1, 1), "floor_is_the_slots"),
    "terms by a stranger": (TERMS.format("pending", 2, "buyer", "mel", 1000, 2000), "given_by_its_side"),
    "terms ahead of their bid": (TERMS.format("pending", 2, "buyer", "ada", 1000, 2000), "version_of_the_bid"),
    "a version left out": (
        TERMS.format("pending", 3, "buyer", "ada", 1000, 2000)
        + "UPDATE bids SET terms_version = 3 WHERE id = :pending; EVENT(bid pending, Pending)",
        "versions_follow",
    ),
    "a version without terms": (
        "UPDATE bids SET terms_version = 2 WHERE id = :pending; EVENT(bid pending, Pending)",
        "fk_bids_current_terms",
    ),
    "a SKU added to terms": (
        "INSERT INTO terms_skus VALUES (:rival, 1, :sku, :mel, 0)",
        "named_with_their_terms",
    ),
    "a SKU taken from terms": ("DELETE FROM terms_skus WHERE bid_id = :standby", "append_only"),
    "a SKU of somebody else": (
        "INSERT INTO terms_skus VALUES (:pending, 1, :sku, :ada, 0)",
        "named_with_their_terms|fk_terms_skus_sku",
    ),
    # I5: one bid.
    "a second bid on the slot": (
        BID.format("free", "ada", "Private Auction", "Pending", 1),
        "uq_bids_buyer_id_slot_id_undeclined",
    ),
    # I6: Declined.
    "Declined without a reason": (
        "UPDATE bids SET status = 'Declined' WHERE id = :pending",
        "ck_bids_declined_has_reason",
    ),
    "a reason without Declined": (
        "UPDATE bids SET decline_reason = 'price' WHERE id = :pending",
        "ck_bids_declined_has_reason",
    ),
    "a reason of its own": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'mood' WHERE id = :pending",
        "ck_bids_decline_reason_known",
    ),
    "Declined and live again": (
        "UPDATE bids SET status = 'Pending', decline_reason = NULL WHERE id = :declined",
        "declined_is_final",
    ),
    "another reason afterwards": (
        "UPDATE bids SET decline_reason = 'price' WHERE id = :declined",
        "declined_is_final",
    ),
    "a bid deleted": ("DELETE FROM bids WHERE id = :declined", "append_only"),
    "Committed ended as anything but cancelled": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'price' WHERE id = :committed",
        "cancelled_was_committed",
    ),
    "cancelled without having been Committed": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'cancelled' WHERE id = :pending",
        "cancelled_was_committed",
    ),
    # I7: commitments.
    "a second commitment of a bid": (
        COMMITMENT.format("committed", 1, "sold", "project", 1500, "Active"),
        "uq_commitments_bid_id|uq_commitments_bid_id_status",
    ),
    "a commitment of a bid that is not Committed": (
        COMMITMENT.format("pending", 1, "free", "project", 1500, "Active"),
        "fk_commitments_committed_bid|state_has_event",
    ),
    "a commitment of another amount": (
        COMMITMENT.format("pending", 1, "free", "project", 1501, "Active"),
        "fk_commitments_terms",
    ),
    "a commitment of another slot": (
        COMMITMENT.format("pending", 1, "held", "project", 1500, "Active"),
        "fk_commitments_bid",
    ),
    "a commitment of another project": (
        COMMITMENT.format("pending", 1, "free", "elsewhere", 1500, "Active"),
        "fk_commitments_slot",
    ),
    "a commitment of another amount afterwards": (
        "UPDATE commitments SET amount = 1 WHERE id = :commitment",
        "fixed_columns",
    ),
    "Committed without a commitment": (
        "UPDATE commitments SET status = 'Cancelled', cancelled_at = now() WHERE id = :commitment;"
        "EVENT(commitment commitment, Cancelled)",
        "fk_bids_commitment",
    ),
    "a commitment whose bid is Declined": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'cancelled' WHERE id = :committed;"
        "UPDATE slots SET status = 'Available', holder_bid_id = NULL WHERE id = :sold;"
        "EVENT(bid committed, Declined); EVENT(slot sold, Available)",
        "fk_commitments_committed_bid",
    ),
    "a commitment deleted": ("DELETE FROM commitments WHERE id = :commitment", "append_only"),
    "Completed without a time": (
        "UPDATE commitments SET status = 'Completed' WHERE id = :placed_commitment",
        "ck_commitments_completed_has_time",
    ),
    "Delivered without times": (
        "UPDATE commitments SET status = 'Delivered' WHERE id = :commitment",
        "ck_commitments_delivered_has_times",
    ),
    "Active with a delivery": (
        "UPDATE commitments SET delivered_at = now() WHERE id = :commitment",
        "ck_commitments_active_is_undelivered",
    ),
    "Completed and then Active": (
        "UPDATE commitments SET status = 'Active', completed_at = NULL WHERE id = :done_commitment",
        "transition_in_table",
    ),
    # I8: events.
    "a change of state without its event": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'price' WHERE id = :pending",
        "state_has_event",
    ),
    "new terms without their event": (
        TERMS.format("pending", 2, "buyer", "ada", 1000, 2000)
        + "UPDATE bids SET terms_version = 2 WHERE id = :pending",
        "state_has_event",
    ),
    "an event of another state": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'price' WHERE id = :pending;EVENT(bid pending, Pending)",
        "state_has_event",
    ),
    "an event of another bid": (
        "UPDATE bids SET status = 'Declined', decline_reason = 'price' WHERE id = :pending; EVENT(bid rival, Declined)",
        "state_has_event",
    ),
    "an event changed": ("UPDATE events SET action = 'bid.other' WHERE subject_id = :pending", "append_only"),
    "an event deleted": ("DELETE FROM events WHERE subject_id = :pending", "append_only"),
    "events emptied": ("TRUNCATE events", "append_only"),
    "an event with a sentence": (
        "INSERT INTO events (id, at, actor_role, action, subject_type, subject_id, data) VALUES"
        """ (gen_random_uuid(), now(), 'System', 'bid.changed', 'bid', :pending, '{"note": "too dear"}')""",
        "ck_events_data_closed",
    ),
    "an event with an address": (
        "INSERT INTO events (id, at, actor_role, action, subject_type, subject_id, data) VALUES"
        """ (gen_random_uuid(), now(), 'System', 'bid.changed', 'bid', :pending, '{"to": ["a@example.com"]}')""",
        "ck_events_data_closed",
    ),
    "an event whose action is a sentence": (
        "INSERT INTO events (id, at, actor_role, action, subject_type, subject_id, data) VALUES"
        " (gen_random_uuid(), now(), 'System', 'Ada bids', 'bid', :pending, '{}')",
        "ck_events_action_known",
    ),
    # What never changes.
    "a bid of another buyer": ("UPDATE bids SET buyer_id = :mel WHERE id = :holder", "fixed_columns"),
    "a bid that starts Accepted": (
        BID.format("held", "mel", "Private Auction", "Accepted", 1),
        "starts_in_first_state",
    ),
    "a bid that starts at a later version": (
        BID.format("sold", "mel", "Private Auction", "Pending", 2),
        "versions_follow",
    ),
    "Pending and then Committed": (
        "UPDATE bids SET status = 'Committed', creator_approved_version = 1, buyer_approved_version = 1"
        " WHERE id = :pending",
        "transition_in_table",
    ),
    "a comment by a stranger": (
        "INSERT INTO comments VALUES (gen_random_uuid(), :pending, :mel, 'x', now())",
        "author_takes_part",
    ),
    "a comment changed": ("UPDATE comments SET text = 'x'", "append_only"),
}


async def test_postgresql_refuses_every_bad_state_by_the_guard_meant_for_it(world: World, sql: Sql) -> None:
    scene = Scene(world, sql)
    await scene.build()
    wrong = {}
    for name, (statements, guard) in BAD.items():
        found = await scene.refused_by(statements)
        if found not in guard.split("|"):
            wrong[name] = f"{found} instead of {guard}"
    assert not wrong


@pytest.mark.parametrize("table", ["bids", "slots", "commitments"])
async def test_every_step_that_is_in_no_table_is_refused(world: World, sql: Sql, table: str) -> None:
    machine = {"bids": BID_MACHINE, "slots": SLOT_MACHINE, "commitments": COMMITMENT_MACHINE}[table]
    trigger = await sql.fetchval(f"SELECT prosrc FROM pg_proc WHERE proname = 'guard_{table}_transitions'")
    pairs = set(re.findall(r"\('(\w+)', '(\w+)'\)", trigger))
    states = {state.value for state in machine.states}
    assert pairs == machine.steps()
    assert {state for pair in pairs for state in pair} <= states
