"""Who may see a slot, what its status is at a moment, and what its owner may change when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, exists, or_, select, union

from backend.core.errors import Conflict
from backend.models.base import Timestamp
from backend.models.bids import Bid
from backend.models.slots import Slot, SlotInvitee, SlotStatus, Visibility
from backend.models.users import BUYERS, Role, User

ACTOR: Any = bindparam("p_actor")
NOW: Any = bindparam("p_now", type_=Timestamp)
PRESENT = Slot.removed_at.is_(None)
_PUBLIC = Slot.visibility == Visibility.PUBLIC.value
# Asked of one slot at a time: a join could rather read every user.
OWNER_ACTIVE: ColumnElement[bool] = select(User.is_active).where(User.id == Slot.creator_id).scalar_subquery()

# Overdue counts as ended from its very instant, whether or not it has been written (deals.md).
hold_overdue: ColumnElement[bool] = Slot.hold_expires_at <= NOW
EFFECTIVE_STATUS: ColumnElement[str] = case(
    (hold_overdue, SlotStatus.AVAILABLE.value),
    (Slot.completes_at <= NOW, SlotStatus.COMPLETED.value),
    else_=Slot.status,
)


def has_status(status: Any) -> ColumnElement[bool]:
    """Whether `EFFECTIVE_STATUS` is this one, in terms of plain columns: of those PostgreSQL knows how many there are.

    Of a computed value it would guess one row in two hundred, and then rather read the whole table than walk an order.
    """
    not_overdue = or_(Slot.hold_expires_at.is_(None), Slot.hold_expires_at > NOW)
    as_written = or_(Slot.completes_at.is_(None), Slot.completes_at > NOW)
    return or_(
        and_(not_overdue, as_written, Slot.status == status),
        and_(hold_overdue, status == SlotStatus.AVAILABLE.value),
        and_(not_overdue, Slot.completes_at <= NOW, status == SlotStatus.COMPLETED.value),
    )


# What a bidder bid on.
FROZEN_WHILE_BID_ON = frozenset(
    {"scene_ref", "scene_id", "type", "description", "constraints", "excluded_categories", "modality"}
)


def visible(role: Role) -> ColumnElement[bool]:
    """Creator: own; Operator: all; buyer: Public, invited to, or bid on, of an active creator. Bind: `p_actor`."""
    match role:
        case Role.CREATOR:
            return and_(PRESENT, Slot.creator_id == ACTOR)
        case Role.OPERATOR:
            return PRESENT
        case _:
            return visible_to(ACTOR)


def visible_to(buyer: Any) -> ColumnElement[bool]:
    """What this buyer may see; `buyer` is a bind or a column of the statement around."""
    invited = exists().where(SlotInvitee.slot_id == Slot.id, SlotInvitee.user_id == buyer)
    bid_on = exists().where(Bid.slot_id == Slot.id, Bid.buyer_id == buyer)
    return and_(PRESENT, OWNER_ACTIVE, or_(_PUBLIC, invited, bid_on))


def listed(role: Role) -> ColumnElement[bool]:
    """What of the visible stands in lists: a deactivated creator's slots leave every one."""
    return visible(role) if role in BUYERS else and_(visible(role), OWNER_ACTIVE)


def listed_in_parts(role: Role) -> Sequence[ColumnElement[bool]]:
    """The same in parts that share no slot and have each an index to begin from (decision 123).

    For a buyer these are what everybody sees, and what is theirs by an invitation or a bid.
    """
    if role not in BUYERS:
        return (listed(role),)
    known = union(
        select(SlotInvitee.slot_id).where(SlotInvitee.user_id == ACTOR),
        select(Bid.slot_id).where(Bid.buyer_id == ACTOR),
    )
    return (
        and_(PRESENT, OWNER_ACTIVE, _PUBLIC),
        and_(PRESENT, OWNER_ACTIVE, ~_PUBLIC, Slot.id.in_(known)),
    )


def must_be_editable(status: SlotStatus, fields: Iterable[str], *, live_bids: bool, committed: bool) -> None:
    """Whether these fields may change now (deals.md, "The slot's own edits"). Raises Conflict."""
    changed = set(fields)
    if committed and changed & (FROZEN_WHILE_BID_ON | {"pricing_floor", "visibility", "bidding_closes_at"}):
        raise Conflict("This slot is sold and does not change any more.", code="slot_sold", currentStatus=str(status))
    if live_bids and changed & FROZEN_WHILE_BID_ON:
        raise Conflict(
            "What bidders bid on is frozen while a live bid exists.", code="slot_frozen", currentStatus=str(status)
        )
    if status is not SlotStatus.AVAILABLE and "pricing_floor" in changed:
        raise Conflict(
            "The floor may change only while the slot is Available.", code="slot_locked", currentStatus=str(status)
        )
