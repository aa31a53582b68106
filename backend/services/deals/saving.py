"""Save: what a decision means in rows (the bid, the hold on its slot, the commitment), each with its line."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, update

from backend.core.database import Tx
from backend.core.statements import Statement, binds, prefixed
from backend.models.bids import Bid, BidStatus, DeclineReason
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.events import ActorRole, SubjectType
from backend.models.slots import Slot, SlotStatus
from backend.policies.deals import HoldChange, Step
from backend.policies.users import Actor
from backend.services import events
from backend.services.deals.locking import Locked

Who = Actor | ActorRole
SYSTEM = ActorRole.SYSTEM


@lru_cache
def _update_bid(columns: frozenset[str]) -> Statement:
    return Statement(
        update(Bid).where(Bid.id == bindparam("p_bid")).values(**binds(*columns), updated_at=bindparam("p_now"))
    )


async def save_bid(tx: Tx, bid_id: UUID, now: datetime, **columns: Any) -> None:
    """Write these columns of a bid."""
    await _update_bid(frozenset(columns)).one(tx, p_bid=bid_id, p_now=now, **prefixed(columns))


_SET_HOLD = Statement(
    update(Slot)
    .where(Slot.id == bindparam("p_slot"))
    .values(
        status=SlotStatus.LOCKED.value,
        holder_bid_id=bindparam("p_holder"),
        hold_expires_at=bindparam("p_hold_expires"),
    )
)
_SET_HOLD_END = Statement(
    update(Slot).where(Slot.id == bindparam("p_slot")).values(hold_expires_at=bindparam("p_hold_expires"))
)
_SET_SCENE = Statement(
    update(Slot)
    .where(Slot.id == bindparam("p_slot"))
    .values(scene_id=bindparam("p_scene"), scene_status=bindparam("p_status"), updated_at=bindparam("p_now"))
)
_CLEAR_HOLD = Statement(
    update(Slot)
    .where(Slot.id == bindparam("p_slot"))
    .values(status=SlotStatus.AVAILABLE.value, holder_bid_id=None, hold_expires_at=None, completes_at=None)
)


def hold_until(tx: Tx, now: datetime, expires_at: datetime) -> datetime:
    """When a new hold ends: after `HOLD_EXPIRES_IN`, but never after its bid."""
    return min(now + timedelta(seconds=tx.settings.hold_expires_in), expires_at)


async def take_hold(tx: Tx, who: Who, slot_id: UUID, bid_id: UUID, until: datetime) -> list[dict[str, Any]]:
    """Let a bid hold its slot, which is free on paper, until `until`. Answers the line for the record."""
    await _SET_HOLD.one(tx, p_slot=slot_id, p_holder=bid_id, p_hold_expires=until)
    return [events.line(who, "slot.held", (SubjectType.SLOT, slot_id), bid_id=bid_id, status=SlotStatus.LOCKED.value)]


async def set_hold_end(tx: Tx, slot_id: UUID, until: datetime | None) -> None:
    """Move the end of the hold; None once the holder is Committed."""
    await _SET_HOLD_END.one(tx, p_slot=slot_id, p_hold_expires=until)


async def follow_scene(tx: Tx, who: Who, locked: Locked) -> list[dict[str, Any]]:
    """What is sold is the scene of the deal: its slot moves there. Answers the line for the record, if it moves."""
    if locked.scene_id == locked.slot_scene_id:
        return []
    await _SET_SCENE.one(
        tx, p_slot=locked.slot_id, p_scene=locked.scene_id, p_status=locked.scene_status, p_now=locked.now
    )
    subject = (SubjectType.SLOT, locked.slot_id)
    return [events.line(who, "slot.scene_changed", subject, bid_id=locked.bid_id, scene_id=locked.scene_id)]


async def release(tx: Tx, who: Who, slot_id: UUID, bid_id: UUID) -> list[dict[str, Any]]:
    """The slot is free again. Answers the line for the record."""
    await _CLEAR_HOLD.one(tx, p_slot=slot_id)
    return [
        events.line(who, "slot.released", (SubjectType.SLOT, slot_id), bid_id=bid_id, status=SlotStatus.AVAILABLE.value)
    ]


async def end_bid(
    tx: Tx, who: Who, bid_id: UUID, reason: DeclineReason, action: str, at: datetime, *, held: bool
) -> list[dict[str, Any]]:
    """A bid is Declined as of `at`. `held` says whether an uncommitted hold ended with it.

    Answers the line for the record.
    """
    columns: dict[str, Any] = {"status": BidStatus.DECLINED.value, "decline_reason": reason.value}
    if held:
        columns["hold_ended_at"] = at
    await save_bid(tx, bid_id, at, **columns)
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


# The commitment and its slot.

_SET_COMPLETION = Statement(
    update(Slot).where(Slot.id == bindparam("p_slot")).values(completes_at=bindparam("p_completes"))
)
_COMPLETE_SLOT = Statement(
    update(Slot).where(Slot.id == bindparam("p_slot")).values(status=SlotStatus.COMPLETED.value, completes_at=None)
)


@lru_cache
def _update_commitment(columns: frozenset[str]) -> Statement:
    return Statement(
        update(Commitment)
        .where(Commitment.id == bindparam("p_commitment"))
        .values(**binds(*columns), updated_at=bindparam("p_now"))
    )


async def save_commitment(tx: Tx, commitment_id: UUID, now: datetime, **columns: Any) -> None:
    """Write these columns of a commitment. A cancel request lapses with any change that does not make it."""
    columns = {"cancel_requested_by": None, **columns}
    await _update_commitment(frozenset(columns)).one(tx, p_commitment=commitment_id, p_now=now, **prefixed(columns))


async def set_completion(tx: Tx, slot_id: UUID, confirm_by: datetime | None) -> None:
    """From when on the slot counts as Completed: its commitment's confirmBy while Delivered, else None."""
    await _SET_COMPLETION.one(tx, p_slot=slot_id, p_completes=confirm_by)


async def complete(
    tx: Tx, who: Who, commitment_id: UUID, bid_id: UUID, slot_id: UUID, at: datetime
) -> list[dict[str, Any]]:
    """The placement is confirmed as of `at`: commitment and slot are Completed. Answers the lines for the record."""
    await save_commitment(tx, commitment_id, at, status=CommitmentStatus.COMPLETED.value, completed_at=at)
    await _COMPLETE_SLOT.one(tx, p_slot=slot_id)
    return [
        events.line(
            who,
            "commitment.completed",
            (SubjectType.COMMITMENT, commitment_id),
            bid_id=bid_id,
            status=CommitmentStatus.COMPLETED.value,
        ),
        events.line(
            who, "slot.completed", (SubjectType.SLOT, slot_id), bid_id=bid_id, status=SlotStatus.COMPLETED.value
        ),
    ]
