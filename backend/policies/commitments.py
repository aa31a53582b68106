"""Who may see a commitment, and the pure decisions about one (deals.md). The decisions touch no database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, or_, true

from backend.models.bids import Side
from backend.models.commitments import COMMITMENT_MACHINE, Commitment, CommitmentStatus
from backend.models.users import Role
from backend.policies.deals import Decision, Party, Refusal, Repeat, Step
from backend.policies.slots import NOW


def visible(role: Role) -> ColumnElement[bool]:
    """The parties of the deal, and operators. Bind: `p_actor`."""
    match role:
        case Role.CREATOR:
            return Commitment.creator_id == bindparam("p_actor")
        case Role.OPERATOR:
            return true()
        case _:
            return Commitment.buyer_id == bindparam("p_actor")


# After confirmBy the clock has confirmed, whether or not it has been written.
CONFIRMED_BY_CLOCK: ColumnElement[bool] = and_(
    Commitment.status == CommitmentStatus.DELIVERED.value, Commitment.confirm_by <= NOW
)
EFFECTIVE_STATUS: ColumnElement[str] = case(
    (CONFIRMED_BY_CLOCK, CommitmentStatus.COMPLETED.value), else_=Commitment.status
)


def has_status(status: Any) -> ColumnElement[bool]:
    """Whether `EFFECTIVE_STATUS` is this one, in terms of plain columns: those have an index (decision 123)."""
    return or_(
        and_(Commitment.status == status, ~CONFIRMED_BY_CLOCK),
        and_(CONFIRMED_BY_CLOCK, status == CommitmentStatus.COMPLETED.value),
    )


@dataclass(frozen=True, slots=True)
class Placement:
    """A commitment as it effectively is at a moment: all that the decisions look at."""

    status: CommitmentStatus
    late: bool  # deliverBy has passed
    cancel_requested_by: Side | None


def _step(placement: Placement, action: str, party: Party, done: CommitmentStatus | None) -> Decision:
    if done is not None and placement.status is done:
        return Repeat()
    target = COMMITMENT_MACHINE.target(action, party, placement.status)
    if target is None:
        return Refusal("wrong_state", f"A commitment that is {placement.status} cannot take '{action}'.")
    return Step(target)


def deliver(placement: Placement, party: Party) -> Decision:
    """The creator says the placement is there."""
    return _step(placement, "deliver", party, CommitmentStatus.DELIVERED)


def confirm(placement: Placement, party: Party) -> Decision:
    """The buyer agrees that it is there."""
    return _step(placement, "confirm", party, CommitmentStatus.COMPLETED)


def reject(placement: Placement, party: Party) -> Decision:
    """The buyer does not agree; the creator delivers again."""
    return _step(placement, "reject", party, None)


def cancel(placement: Placement, party: Party) -> Decision:
    """Both sides together, the buyer alone when nothing came by deliverBy, or an operator.

    A step back to the same status records the request of one side; it blocks nothing and lapses with any change.
    """
    decision = _step(placement, "cancel", party, CommitmentStatus.CANCELLED)
    if not isinstance(decision, Step) or party is Party.OPERATOR:
        return decision
    undelivered = placement.late and placement.status is CommitmentStatus.ACTIVE
    if party is Party.BUYER and undelivered:
        return decision
    if placement.cancel_requested_by is None:
        return Step(placement.status)
    return Repeat() if placement.cancel_requested_by == party.value else decision


@lru_cache(maxsize=1024)
def allowed_actions(placement: Placement, party: Party) -> tuple[str, ...]:
    """What this party may do next, from the decisions that enforce it."""
    decisions = {
        "deliver": deliver(placement, party),
        "confirm": confirm(placement, party),
        "reject": reject(placement, party),
        "cancel": cancel(placement, party),
    }
    return tuple(action for action, decision in decisions.items() if isinstance(decision, Step))
