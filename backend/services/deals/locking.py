"""Lock: the deal a caller may see, with its rows held and judged at one moment.

The only row locks on deals are taken here, in `ending.py` and in `following.py`, in the one order: slots by id, bids by
id, commitment.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, case, select

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import NotFound
from backend.core.statements import Statement
from backend.models.bids import Bid, BidStatus, DeclineReason, Side
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.slots import Modality, Slot
from backend.models.terms import Terms
from backend.models.users import Role
from backend.policies import bids as policy
from backend.policies import commitments as placement_policy
from backend.policies.bids import HOLD, Deal, Hold
from backend.policies.commitments import Placement
from backend.policies.deals import Decision, Party, Step, must, party_of
from backend.policies.slots import NOW, hold_overdue
from backend.policies.users import Actor

# What the decisions about a bid look at, as columns of any statement that joins bids and slots.
SITUATION: dict[str, Any] = {
    "status": policy.EFFECTIVE_STATUS,
    "decline_reason": policy.EFFECTIVE_REASON,
    "modality": Bid.modality,
    "terms_version": Bid.terms_version,
    "creator_approved": Bid.creator_approved_version.is_not(None),
    "buyer_approved": Bid.buyer_approved_version.is_not(None),
    "hold": HOLD,
}
# The same for a commitment.
PLACEMENT: dict[str, Any] = {
    "status": placement_policy.EFFECTIVE_STATUS,
    "late": Commitment.deliver_by <= NOW,
    "cancel_requested_by": Commitment.cancel_requested_by,
}


def situation(row: Record, prefix: str = "") -> Deal:
    """The pure value that the decisions about a bid take, from a row with the columns of `SITUATION`."""
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


def placement(row: Record, prefix: str = "") -> Placement:
    """The pure value that the decisions about a commitment take, from a row with the columns of `PLACEMENT`."""
    side = row[f"{prefix}cancel_requested_by"]
    return Placement(
        CommitmentStatus(row[f"{prefix}status"]), row[f"{prefix}late"], Side(side) if side is not None else None
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
    scene_id: UUID | None
    scene_status: str | None
    slot_scene_id: UUID | None
    expires_at: datetime
    hold_expires_at: datetime | None
    overdue_holder: UUID | None
    now: datetime

    @property
    def other_id(self) -> UUID:
        """The other side, seen from the side that acts."""
        return self.buyer_id if self.party is Party.CREATOR else self.creator_id

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
        Bid.scene_id,
        Bid.scene_status,
        Slot.scene_id.label("slot_scene_id"),
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
        scene_id=row["scene_id"],
        scene_status=row["scene_status"],
        slot_scene_id=row["slot_scene_id"],
        expires_at=row["expires_at"],
        hold_expires_at=row["hold_expires_at"],
        overdue_holder=row["overdue_holder"],
        now=now,
    )


@dataclass(frozen=True, slots=True)
class LockedCommitment:
    """A commitment under its locks, judged at `now`."""

    commitment_id: UUID
    bid_id: UUID
    slot_id: UUID
    buyer_id: UUID
    placement: Placement
    party: Party
    now: datetime

    def must(self, decision: Decision) -> Step | None:
        """The step, or None for a repeat. Raises Conflict."""
        actions = placement_policy.allowed_actions(self.placement, self.party)
        return must(decision, self.placement.status, actions)


@lru_cache
def _lock_commitments_slot(role: Role) -> Statement:
    slot_of_commitment = (
        select(Commitment.slot_id)
        .where(Commitment.id == bindparam("p_commitment"), placement_policy.visible(role))
        .scalar_subquery()
    )
    return Statement(select(Slot.id).where(Slot.id == slot_of_commitment).with_for_update())


_LOCK_BID = Statement(
    select(Bid.id)
    .where(Bid.id == select(Commitment.bid_id).where(Commitment.id == bindparam("p_commitment")).scalar_subquery())
    .with_for_update()
)
_READ_LOCKED_COMMITMENT = Statement(
    select(
        *(column.label(name) for name, column in PLACEMENT.items()),
        Commitment.bid_id,
        Commitment.slot_id,
        Commitment.creator_id,
        Commitment.buyer_id,
    )
    .where(Commitment.id == bindparam("p_commitment"))
    .with_for_update()
)


async def lock_commitment(tx: Tx, actor: Actor, commitment_id: UUID) -> LockedCommitment:
    """The commitment that the caller may see, with its slot, its bid and itself locked. Raises NotFound."""
    if await _lock_commitments_slot(actor.role).value(tx, p_commitment=commitment_id, p_actor=actor.id) is None:
        raise NotFound
    await _LOCK_BID.one(tx, p_commitment=commitment_id)
    now = clock.now()
    row = await _READ_LOCKED_COMMITMENT.one(tx, p_commitment=commitment_id, p_now=now)
    assert row is not None
    return LockedCommitment(
        commitment_id=commitment_id,
        bid_id=row["bid_id"],
        slot_id=row["slot_id"],
        buyer_id=row["buyer_id"],
        placement=placement(row),
        party=party_of(actor, row["creator_id"], row["buyer_id"]),
        now=now,
    )
