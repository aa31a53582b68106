"""Lock, decide, save: what every change of a deal shares (house.md).

`lock` takes the only row locks on deals, in the one order: slot, then bid. The decisions are pure (`policies`). The
savers below write what a decision means: the bid, the hold on its slot, and the event of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, case, select, update

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Conflict, NotFound
from backend.core.statements import Statement, binds, prefixed
from backend.models.bids import Bid, BidStatus, DeclineReason
from backend.models.events import ActorRole, SubjectType
from backend.models.slots import Modality, Slot, SlotStatus
from backend.models.terms import Terms
from backend.models.users import Role
from backend.policies import bids as policy
from backend.policies.bids import Deal, Hold
from backend.policies.deals import Decision, HoldChange, Party, Step, must, party_of
from backend.policies.slots import EFFECTIVE_STATUS as SLOT_STATUS
from backend.policies.slots import hold_overdue
from backend.policies.users import Actor
from backend.services import events

Who = Actor | ActorRole
SYSTEM = ActorRole.SYSTEM

# Who holds the slot now, seen from a bid; a hold that has run out is none.
HOLD = case(
    (Slot.holder_bid_id.is_(None), Hold.FREE.value),
    (hold_overdue, Hold.FREE.value),
    (policy.OVERDUE, Hold.FREE.value),
    (Slot.holder_bid_id == Bid.id, Hold.MINE.value),
    (Slot.hold_expires_at.is_(None), Hold.SOLD.value),
    else_=Hold.OTHER.value,
)
# What the decisions look at, as columns of any statement that joins bids and slots.
SITUATION: dict[str, Any] = {
    "status": policy.EFFECTIVE_STATUS,
    "decline_reason": policy.EFFECTIVE_REASON,
    "modality": Bid.modality,
    "terms_version": Bid.terms_version,
    "creator_approved": Bid.creator_approved_version.is_not(None),
    "buyer_approved": Bid.buyer_approved_version.is_not(None),
    "hold": HOLD,
}


def situation(row: Record, prefix: str = "") -> Deal:
    """The pure value that the decisions take, from a row with the columns of `SITUATION`."""
    reason = row[f"{prefix}decline_reason"]
    return Deal(
        status=BidStatus(row[f"{prefix}status"]),
        decline_reason=DeclineReason(reason) if reason is not None else None,
        modality=Modality(row[f"{prefix}modality"]),
        terms_version=row[f"{prefix}terms_version"],
        creator_approved=row[f"{prefix}creator_approved"],
        buyer_approved=row[f"{prefix}buyer_approved"],
        hold=Hold(row[f"{prefix}hold"]),
    )


@dataclass(frozen=True, slots=True)
class Locked:
    """A deal under its locks, judged at `now`."""

    bid_id: UUID
    slot_id: UUID
    project_id: UUID
    creator_id: UUID
    buyer_id: UUID
    deal: Deal
    party: Party
    amount: Decimal
    floor: Decimal
    expires_at: datetime
    hold_expires_at: datetime | None
    overdue_holder: UUID | None
    now: datetime

    def must(self, decision: Decision) -> Step | None:
        """The step, or None for a repeat. Raises Conflict."""
        return must(decision, self.deal.status, policy.allowed_actions(self.deal, self.party))


@lru_cache
def _lock_slot(role: Role) -> Statement:
    slot_of_bid = select(Bid.slot_id).where(Bid.id == bindparam("p_bid"), policy.visible(role)).scalar_subquery()
    return Statement(select(Slot.id).where(Slot.id == slot_of_bid).with_for_update())


_READ_LOCKED = Statement(
    select(
        *(column.label(name) for name, column in SITUATION.items()),
        Bid.slot_id,
        Slot.project_id,
        Bid.creator_id,
        Bid.buyer_id,
        Bid.expires_at,
        Slot.hold_expires_at,
        Slot.pricing_floor,
        Terms.amount,
        case((hold_overdue, Slot.holder_bid_id)).label("overdue_holder"),
    )
    .join(Slot, Slot.id == Bid.slot_id)
    .join(Terms, and_(Terms.bid_id == Bid.id, Terms.version == Bid.terms_version))
    .where(Bid.id == bindparam("p_bid"))
    .with_for_update(of=Bid)
)


async def lock(tx: Tx, actor: Actor, bid_id: UUID) -> Locked:
    """The deal that the caller may see, with its slot and itself locked. Raises NotFound.

    The slot's lock serializes every change of every deal on it, so what the second statement reads stays true.
    Deadlines are judged by the clock after the locks are granted.
    """
    if await _lock_slot(actor.role).value(tx, p_bid=bid_id, p_actor=actor.id) is None:
        raise NotFound
    now = clock.now()
    row = await _READ_LOCKED.one(tx, p_bid=bid_id, p_now=now)
    assert row is not None
    return Locked(
        bid_id=bid_id,
        slot_id=row["slot_id"],
        project_id=row["project_id"],
        creator_id=row["creator_id"],
        buyer_id=row["buyer_id"],
        deal=situation(row),
        party=party_of(actor, row["creator_id"], row["buyer_id"]),
        amount=row["amount"],
        floor=row["pricing_floor"],
        expires_at=row["expires_at"],
        hold_expires_at=row["hold_expires_at"],
        overdue_holder=row["overdue_holder"],
        now=now,
    )


# Saving.


@lru_cache
def _update_bid(columns: frozenset[str]) -> Statement:
    return Statement(
        update(Bid).where(Bid.id == bindparam("p_bid")).values(**binds(*columns), updated_at=bindparam("p_now"))
    )


async def save_bid(tx: Tx, bid_id: UUID, now: datetime, **columns: Any) -> None:
    """Write these columns of a bid."""
    values = prefixed(columns)
    await _update_bid(frozenset(columns)).one(tx, p_bid=bid_id, p_now=now, **values)


_SET_HOLD = Statement(
    update(Slot)
    .where(Slot.id == bindparam("p_slot"))
    .values(
        status=bindparam("p_status"), holder_bid_id=bindparam("p_holder"), hold_expires_at=bindparam("p_hold_expires")
    )
)
_SET_HOLD_END = Statement(
    update(Slot).where(Slot.id == bindparam("p_slot")).values(hold_expires_at=bindparam("p_hold_expires"))
)
_CLEAR_HOLD = Statement(
    update(Slot)
    .where(Slot.id == bindparam("p_slot"))
    .values(status=SlotStatus.AVAILABLE.value, holder_bid_id=None, hold_expires_at=None, completes_at=None)
)


async def take_hold(
    tx: Tx, who: Who, slot_id: UUID, bid_id: UUID, until: datetime, *, overdue_holder: UUID | None, now: datetime
) -> list[dict[str, Any]]:
    """Let a bid hold its slot until `until`; a former hold that has run out is written as ended first.

    Answers the lines for the record.
    """
    lines: list[dict[str, Any]] = []
    if overdue_holder is not None:
        lines += await end_bid(tx, SYSTEM, overdue_holder, DeclineReason.HOLD_EXPIRED, "bid.expired", now)
        lines += await release(tx, SYSTEM, slot_id, overdue_holder)
    await _SET_HOLD.one(tx, p_slot=slot_id, p_status=SlotStatus.LOCKED.value, p_holder=bid_id, p_hold_expires=until)
    lines.append(
        events.line(who, "slot.held", (SubjectType.SLOT, slot_id), bid_id=bid_id, status=SlotStatus.LOCKED.value)
    )
    return lines


async def set_hold_end(tx: Tx, slot_id: UUID, until: datetime | None) -> None:
    """Move the end of the hold; None once the holder is Committed."""
    await _SET_HOLD_END.one(tx, p_slot=slot_id, p_hold_expires=until)


async def release(tx: Tx, who: Who, slot_id: UUID, bid_id: UUID) -> list[dict[str, Any]]:
    """The slot is free again. Answers the line for the record."""
    await _CLEAR_HOLD.one(tx, p_slot=slot_id)
    return [
        events.line(who, "slot.released", (SubjectType.SLOT, slot_id), bid_id=bid_id, status=SlotStatus.AVAILABLE.value)
    ]


async def end_bid(
    tx: Tx, who: Who, bid_id: UUID, reason: DeclineReason, action: str, now: datetime, *, held: bool = True
) -> list[dict[str, Any]]:
    """A bid is Declined. `held` says whether an uncommitted hold ended with it. Answers the line for the record."""
    columns: dict[str, Any] = {"status": BidStatus.DECLINED.value, "decline_reason": reason.value}
    if held:
        columns["hold_ended_at"] = now
    await save_bid(tx, bid_id, now, **columns)
    return [
        events.line(
            who, action, (SubjectType.BID, bid_id), bid_id=bid_id, status=BidStatus.DECLINED.value, reason=reason
        )
    ]


async def end(tx: Tx, who: Who, locked: Locked, step: Step, reason: DeclineReason, action: str, **data: Any) -> None:
    """The locked deal ends: Declined with its reason, its hold released, each with its line."""
    releases = step.hold is HoldChange.RELEASE
    lines = await end_bid(tx, who, locked.bid_id, reason, action, locked.now, held=releases)
    lines[0]["p_data"] |= data
    if releases:
        lines += await release(tx, who, locked.slot_id, locked.bid_id)
    await events.record(tx, *lines)


# Effects on others: the bids of a slot, under the slot's lock.

_LIVE_ON_SLOT = Statement(
    select(
        Bid.id,
        policy.OVERDUE.label("overdue"),
        policy.EFFECTIVE_REASON.label("reason"),
        policy.HOLDS_ON_PAPER.label("holds"),
    )
    .join(Slot, Slot.id == Bid.slot_id)
    .where(policy.LIVE_ON_PAPER, Bid.slot_id == bindparam("p_slot"))
    .order_by(Bid.id)
    .with_for_update(of=Bid)
)


async def close_others(tx: Tx, slot_id: UUID, now: datetime, reason: DeclineReason, *, but: UUID | None) -> None:
    """Decline every live bid on a locked slot but one; what was overdue ends as expired instead.

    The events name no actor and no rival.
    """
    lines: list[dict[str, Any]] = []
    for row in await _LIVE_ON_SLOT.rows(tx, p_slot=slot_id, p_now=now):
        if row["id"] == but:
            continue
        why = DeclineReason(row["reason"]) if row["overdue"] else reason
        action = "bid.expired" if row["overdue"] else "bid.closed"
        lines += await end_bid(tx, SYSTEM, row["id"], why, action, now, held=row["holds"])
        if row["holds"]:
            lines += await release(tx, SYSTEM, slot_id, row["id"])
    if lines:
        await events.record(tx, *lines)


_SLOTS_OF_PROJECT = Statement(
    select(Slot.id)
    .where(Slot.project_id == bindparam("p_project"), Slot.removed_at.is_(None))
    .order_by(Slot.id)
    .with_for_update()
)
_LOCK_SLOTS = Statement(select(Slot.id).where(Slot.id == bindparam("p_slot")).with_for_update())
_STATUS_OF = Statement(select(SLOT_STATUS.label("status")).where(Slot.id == bindparam("p_slot")))
_REMOVE_SLOT = Statement(
    update(Slot)
    .where(Slot.id == bindparam("p_slot"))
    .values(removed_at=bindparam("p_now"), updated_at=bindparam("p_now"))
)


async def remove_slots(tx: Tx, actor: Actor, *, project_id: UUID | None = None, slot_ids: Sequence[UUID] = ()) -> None:
    """Hide slots (all of a project, or these, in order of id); their live bids are Declined(slot_removed).

    Raises Conflict `slot_held` while a bid holds one of them.
    """
    if project_id is not None:
        locked = [row["id"] for row in await _SLOTS_OF_PROJECT.rows(tx, p_project=project_id)]
    else:
        locked = [await _LOCK_SLOTS.value(tx, p_slot=each) for each in sorted(slot_ids)]
    now = clock.now()
    for slot_id in locked:
        status = await _STATUS_OF.value(tx, p_slot=slot_id, p_now=now)
        if status == SlotStatus.LOCKED.value:
            raise Conflict("A bid holds this slot; it cannot be deleted.", code="slot_held", currentStatus=status)
    for slot_id in locked:
        await close_others(tx, slot_id, now, DeclineReason.SLOT_REMOVED, but=None)
        await _REMOVE_SLOT.one(tx, p_slot=slot_id, p_now=now)
    if locked:
        await events.record(
            tx, *(events.line(actor, "slot.removed", (SubjectType.SLOT, slot_id)) for slot_id in locked)
        )


def hold_until(tx: Tx, now: datetime, expires_at: datetime) -> datetime:
    """When a new hold ends: after `HOLD_EXPIRES_IN`, but never after its bid."""
    return min(now + timedelta(seconds=tx.settings.hold_expires_in), expires_at)
