"""Effects on others, under the slot's lock: what has run out, rivals of a sold slot, removed slots, parties who left.

Their events name no actor and no rival. What was overdue ends as such, as of the instant it ran out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, case, func, or_, select, union, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import Conflict
from backend.core.statements import Statement
from backend.models.bids import Bid, DeclineReason
from backend.models.commitments import Commitment
from backend.models.events import SubjectType
from backend.models.slots import Slot, SlotStatus
from backend.policies import bids as policy
from backend.policies.commitments import CONFIRMED_BY_CLOCK
from backend.policies.slots import EFFECTIVE_STATUS as SLOT_STATUS
from backend.policies.slots import NOW
from backend.policies.users import Actor
from backend.services import events
from backend.services.deals.saving import SYSTEM, complete, end_bid, release

_LIVE = (
    select(
        Bid.id,
        Bid.slot_id,
        policy.OVERDUE.label("overdue"),
        policy.EFFECTIVE_REASON.label("reason"),
        policy.HOLDS_ON_PAPER.label("holds"),
        case((policy.HOLD_RAN_OUT, Slot.hold_expires_at), else_=Bid.expires_at).label("lapses_at"),
    )
    .join(Slot, Slot.id == Bid.slot_id)
    .where(policy.LIVE_ON_PAPER)
    .order_by(Bid.id)
    .with_for_update(of=Bid)
)
_ON_SLOT = _LIVE.where(Bid.slot_id == bindparam("p_slot"))
_LIVE_ON_SLOT = Statement(_ON_SLOT)
_OVERDUE_ON_SLOT = Statement(_ON_SLOT.where(policy.OVERDUE))
_OVERDUE_AMONG = Statement(_ON_SLOT.where(policy.OVERDUE, Bid.id == func.any(bindparam("p_ids", type_=ARRAY(Uuid())))))
_LOCK_SLOT = Statement(select(Slot.id).where(Slot.id == bindparam("p_slot")).with_for_update())
_LOCK_SLOT_UNLESS_BUSY = Statement(
    select(Slot.id).where(Slot.id == bindparam("p_slot")).with_for_update(skip_locked=True)
)


async def _close_all(tx: Tx, rows: Sequence[Record], now: datetime, reason: DeclineReason | None) -> None:
    """These rows of `_LIVE` end: as overdue those that are, the others for `reason`."""
    lines: list[dict[str, Any]] = []
    for row in rows:
        holds = bool(row["holds"])
        if row["overdue"]:
            ended, action, at = DeclineReason(row["reason"]), "bid.expired", row["lapses_at"]
        else:
            assert reason is not None, "only what is overdue ends by itself"
            ended, action, at = reason, "bid.closed", now
        lines += await end_bid(tx, SYSTEM, row["id"], ended, action, at, held=holds)
        if holds:
            lines += await release(tx, SYSTEM, row["slot_id"], row["id"])
    if lines:
        await events.record(tx, *lines)


async def write_overdue(tx: Tx, slot_id: UUID, now: datetime, *, among: Collection[UUID] | None = None) -> int:
    """Write as ended what has run out on a locked slot (only these bids, when given). Answers how many did."""
    if among is None:
        rows = await _OVERDUE_ON_SLOT.rows(tx, p_slot=slot_id, p_now=now)
    else:
        rows = await _OVERDUE_AMONG.rows(tx, p_slot=slot_id, p_now=now, p_ids=list(among))
    await _close_all(tx, rows, now, None)
    return len(rows)


_CONFIRMED = Statement(
    select(Commitment.id, Commitment.bid_id, Commitment.confirm_by)
    .where(Commitment.slot_id == bindparam("p_slot"), CONFIRMED_BY_CLOCK)
    .with_for_update()
)


async def write_confirmed(tx: Tx, slot_id: UUID, now: datetime) -> int:
    """Write the commitment of a locked slot as Completed when its confirmBy has passed. Answers 1 or 0."""
    row = await _CONFIRMED.one(tx, p_slot=slot_id, p_now=now)
    if row is None:
        return 0
    lines = await complete(tx, SYSTEM, row["id"], row["bid_id"], slot_id, row["confirm_by"])
    await events.record(tx, *lines)
    return 1


async def close_others(tx: Tx, slot_id: UUID, now: datetime, reason: DeclineReason) -> None:
    """Decline every bid on a locked slot that is still live on paper; a Committed one is not touched."""
    await _close_all(tx, await _LIVE_ON_SLOT.rows(tx, p_slot=slot_id, p_now=now), now, reason)


# A party who left.

_LOCK_SLOTS_OF_PARTY = Statement(
    select(Slot.id)
    .where(
        or_(
            Slot.creator_id == bindparam("p_user"),
            Slot.id.in_(select(Bid.slot_id).where(Bid.buyer_id == bindparam("p_user"), policy.LIVE_ON_PAPER)),
        )
    )
    .order_by(Slot.id)
    .with_for_update()
)
_LIVE_OF_PARTY = Statement(_LIVE.where(or_(Bid.creator_id == bindparam("p_user"), Bid.buyer_id == bindparam("p_user"))))


async def close_for_party(tx: Tx, user_id: UUID) -> None:
    """A deactivated user's live bids, and those on their slots, become Declined(party_inactive).

    Their commitments wait for an operator. The caller has locked the user FOR UPDATE, so no bid of theirs is being
    placed; a bid that others place meanwhile is seen, because all slots are locked before the bids are read.
    """
    await _LOCK_SLOTS_OF_PARTY.rows(tx, p_user=user_id)
    now = clock.now()
    await _close_all(tx, await _LIVE_OF_PARTY.rows(tx, p_user=user_id, p_now=now), now, DeclineReason.PARTY_INACTIVE)


# Removed slots.

_SLOTS_OF_PROJECT = Statement(
    select(Slot.id)
    .where(Slot.project_id == bindparam("p_project"), Slot.removed_at.is_(None))
    .order_by(Slot.id)
    .with_for_update()
)
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
        locked = [await _LOCK_SLOT.value(tx, p_slot=each) for each in sorted(set(slot_ids))]
    now = clock.now()
    for slot_id in locked:
        status = await _STATUS_OF.value(tx, p_slot=slot_id, p_now=now)
        if status == SlotStatus.LOCKED.value:
            raise Conflict("A bid holds this slot; it cannot be deleted.", code="slot_held", currentStatus=status)
    for slot_id in locked:
        await write_confirmed(tx, slot_id, now)
        await close_others(tx, slot_id, now, DeclineReason.SLOT_REMOVED)
        await _REMOVE_SLOT.one(tx, p_slot=slot_id, p_now=now)
    if locked:
        await events.record(
            tx, *(events.line(actor, "slot.removed", (SubjectType.SLOT, slot_id)) for slot_id in locked)
        )


# What the timer writes.

_DUE = Statement(
    select(
        union(
            select(Bid.slot_id.label("id")).where(policy.LIVE_ON_PAPER, Bid.expires_at <= NOW),
            select(Slot.id).where(Slot.hold_expires_at <= NOW),
            select(Slot.id).where(Slot.completes_at <= NOW),
        )
        .subquery()
        .c.id
    ).limit(bindparam("p_limit"))
)


async def due(db: Db, limit: int) -> list[UUID]:
    """Up to `limit` slots with something on them that has run out and is not written yet."""
    return [row["id"] for row in await _DUE.rows(db, p_now=clock.now(), p_limit=limit)]


async def expire_slot(tx: Tx, slot_id: UUID) -> int:
    """Write everything that has run out on one slot; nothing while another change has it. Answers how many rows."""
    if await _LOCK_SLOT_UNLESS_BUSY.one(tx, p_slot=slot_id) is None:
        return 0
    now = clock.now()
    return await write_overdue(tx, slot_id, now) + await write_confirmed(tx, slot_id, now)
