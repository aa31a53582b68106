"""Who may see a bid, and the pure decisions about one (deals.md). The decisions touch no database.

Each decision takes a `Deal` as it effectively is at the moment judged, and answers a Step, a Repeat or a Refusal.
Which states an action starts from and leads to is read from the transition table in `backend/models/bids.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, func, or_, true

from backend.models.bids import BID_MACHINE, CREATOR_REASONS, LIVE, Bid, BidStatus, DeclineReason, Side
from backend.models.slots import Modality, Slot, SlotStatus
from backend.models.users import Role
from backend.policies.deals import Decision, HoldChange, Party, Refusal, Repeat, Step
from backend.policies.slots import EFFECTIVE_STATUS as SLOT_STATUS
from backend.policies.slots import NOW, hold_overdue


def visible(role: Role) -> ColumnElement[bool]:
    """The parties of the deal, and operators. Bind: `p_actor`."""
    match role:
        case Role.CREATOR:
            return Bid.creator_id == bindparam("p_actor")
        case Role.OPERATOR:
            return true()
        case _:
            return Bid.buyer_id == bindparam("p_actor")


LIVE_ON_PAPER: ColumnElement[bool] = Bid.status.in_([status.value for status in LIVE])
HOLDS_ON_PAPER: ColumnElement[bool] = Slot.holder_bid_id == Bid.id
# Overdue counts as ended from its very instant. These need the slot joined.
HOLD_RAN_OUT: ColumnElement[bool] = and_(LIVE_ON_PAPER, HOLDS_ON_PAPER, hold_overdue)
# It is never NULL, so that `~OVERDUE` says the opposite on a slot without a holder too.
OVERDUE: ColumnElement[bool] = and_(
    LIVE_ON_PAPER, (Bid.expires_at <= NOW) | func.coalesce(HOLDS_ON_PAPER & hold_overdue, False)
)
EFFECTIVE_STATUS: ColumnElement[str] = case((OVERDUE, BidStatus.DECLINED.value), else_=Bid.status)
EFFECTIVE_REASON: ColumnElement[str | None] = case(
    (HOLD_RAN_OUT, DeclineReason.HOLD_EXPIRED.value),
    (OVERDUE, DeclineReason.EXPIRED.value),
    else_=Bid.decline_reason,
)
# The holder of a Completed slot holds no more: a slot is Locked exactly while a bid holds it.
HOLDS_NOW: ColumnElement[bool] = and_(HOLDS_ON_PAPER, SLOT_STATUS.in_([SlotStatus.LOCKED.value]))


def has_status(status: Any) -> ColumnElement[bool]:
    """Whether `EFFECTIVE_STATUS` is this one, in terms of plain columns: those have an index (decision 123)."""
    return or_(and_(Bid.status == status, ~OVERDUE), and_(OVERDUE, status == BidStatus.DECLINED.value))


class Hold(StrEnum):
    """Who holds the slot, seen from one bid."""

    FREE = "free"
    MINE = "mine"
    OTHER = "other"
    SOLD = "sold"


# The same in SQL; a hold that has run out is none.
HOLD: ColumnElement[str] = case(
    (Slot.holder_bid_id.is_(None) | hold_overdue, Hold.FREE.value),
    (Slot.holder_bid_id == Bid.id, Hold.MINE.value),
    (Slot.hold_expires_at.is_(None), Hold.SOLD.value),
    else_=Hold.OTHER.value,
)


@dataclass(frozen=True, slots=True)
class Deal:
    """A bid as it effectively is at a moment: all that the decisions look at."""

    status: BidStatus
    decline_reason: DeclineReason | None
    modality: Modality
    terms_version: int
    creator_approved: bool
    buyer_approved: bool
    hold: Hold

    def approved_by(self, party: Party) -> bool:
        """Whether that side has said yes to the current terms."""
        return self.creator_approved if party is Party.CREATOR else self.buyer_approved


@dataclass(frozen=True, slots=True)
class Offer:
    """What a new bid meets: the slot as it effectively is, and the buyer's standing on it."""

    slot_status: SlotStatus
    modality: Modality
    holder_committed: bool
    bidding_closed: bool
    floor: Decimal
    has_bid: bool
    cooling_down: bool
    holds: int
    max_holds: int


def _wrong_state(status: BidStatus, action: str) -> Refusal:
    return Refusal("wrong_state", f"A bid that is {status} cannot take '{action}'.")


def place(offer: Offer, amount: Decimal) -> Decision:
    """A new bid. On a PG/Reservation slot it takes the hold; on an auction slot that is held it stands by."""
    reservation = offer.modality is Modality.RESERVATION
    if offer.slot_status is SlotStatus.COMPLETED or offer.holder_committed:
        return Refusal("slot_sold", "This slot is sold.")
    if offer.has_bid:
        return Refusal("already_bid", "You have a bid on this slot already; change its terms instead.")
    if reservation and offer.slot_status is SlotStatus.LOCKED:
        return Refusal("slot_locked", "This slot is reserved at the moment.")
    if offer.bidding_closed:
        return Refusal("bidding_closed", "Bidding on this slot has closed.")
    if amount < offer.floor:
        return Refusal("below_floor", f"The amount is below the floor of {offer.floor:,.2f}.")
    if reservation and offer.cooling_down:
        return Refusal("hold_cooldown", "Your last hold on this slot ended a short while ago; wait before the next.")
    if reservation and offer.holds >= offer.max_holds:
        return Refusal("too_many_holds", f"You hold {offer.max_holds} slots already; commit or withdraw one first.")
    return Step(BidStatus.PENDING, HoldChange.TAKE if reservation else HoldChange.KEEP)


def terms(deal: Deal, party: Party, base_version: int | None, amount: Decimal, floor: Decimal) -> Decision:
    """New terms: both approvals are void; an auction hold is let go, a reservation's stays with its end unchanged."""
    target = BID_MACHINE.target("terms", party, deal.status)
    if target is None:
        return _wrong_state(deal.status, "terms")
    if base_version is not None and base_version != deal.terms_version:
        return _terms_changed(deal)
    if amount < floor:
        return Refusal("below_floor", f"The amount is below the floor of {floor:,.2f}.")
    lets_go = deal.hold is Hold.MINE and deal.modality is Modality.AUCTION
    return Step(target, HoldChange.RELEASE if lets_go else HoldChange.KEEP)


def _terms_changed(deal: Deal) -> Refusal:
    return Refusal("terms_changed", f"The terms have changed; version {deal.terms_version} is the current one.")


def approve(deal: Deal, party: Party, terms_version: int | None) -> Decision:
    """One side's yes to the current terms. The creator's takes the hold of an auction slot."""
    if terms_version is not None and terms_version != deal.terms_version and deal.status is not BidStatus.DECLINED:
        return _terms_changed(deal)
    if deal.status is not BidStatus.DECLINED and deal.approved_by(party):
        return Repeat()
    target = BID_MACHINE.target("approve", party, deal.status)
    if target is None:
        return _wrong_state(deal.status, "approve")
    if party is not Party.CREATOR or deal.hold is Hold.MINE:
        return Step(target)
    if deal.hold is not Hold.FREE:
        return Refusal("slot_locked", "Another bid holds this slot; it has to end before this one can be approved.")
    return Step(target, HoldChange.TAKE)


def _end(deal: Deal, action: str, party: Party) -> Decision:
    target = BID_MACHINE.target(action, party, deal.status)
    if target is None:
        return _wrong_state(deal.status, action)
    return Step(target, HoldChange.RELEASE if deal.hold is Hold.MINE else HoldChange.KEEP)


def decline(deal: Deal, party: Party, reason: DeclineReason) -> Decision:
    """The creator's no. Declining again for the same reason is a repeat."""
    if deal.status is BidStatus.DECLINED and deal.decline_reason is reason and reason in CREATOR_REASONS:
        return Repeat()
    return _end(deal, "decline", party)


def withdraw(deal: Deal, party: Party) -> Decision:
    """The buyer takes the bid back."""
    if deal.status is BidStatus.DECLINED and deal.decline_reason is DeclineReason.WITHDRAWN:
        return Repeat()
    return _end(deal, "withdraw", party)


def commit(deal: Deal, party: Party, amount: Decimal | None, approved: Decimal) -> Decision:
    """The buyer's spend: exactly what both approved."""
    if amount is not None and amount != approved and deal.status in (BidStatus.ACCEPTED, BidStatus.COMMITTED):
        return Refusal("amount_mismatch", f"The approved amount is {approved:,.2f}; leave `amount` out or give that.")
    if deal.status is BidStatus.COMMITTED:
        return Repeat()
    target = BID_MACHINE.target("commit", party, deal.status)
    return Step(target) if target is not None else _wrong_state(deal.status, "commit")


@lru_cache(maxsize=4096)
def _allowed(deal: Deal, party: Party) -> tuple[str, ...]:
    zero = Decimal(0)
    decisions: dict[str, Decision] = {
        "terms": terms(deal, party, None, zero, zero),
        "approve": approve(deal, party, None),
        "decline": decline(deal, party, DeclineReason.OTHER),
        "withdraw": withdraw(deal, party),
        "commit": commit(deal, party, None, zero),
    }
    return tuple(action for action, decision in decisions.items() if isinstance(decision, Step))


def allowed_actions(deal: Deal, party: Party) -> tuple[str, ...]:
    """What this party may do next, from the decisions that enforce it. The version's number makes no difference."""
    return _allowed(replace(deal, terms_version=1), party)


def side_of(party: Party) -> Side:
    """The side a party is on. Raises ValueError for who is on none."""
    return Side(party.value)
