"""What operators see of the whole floor, and what they do to accounts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, func, select, update

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import NotFound
from backend.core.paging import Page, Sort, reply_page
from backend.core.searching import says, words
from backend.core.shapes import IfMatch, Reply, Shape, encode
from backend.core.statements import Statement, prefixed
from backend.models.bids import Bid, BidStatus
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.events import SubjectType
from backend.models.slots import Slot, SlotStatus
from backend.models.users import Role, User
from backend.policies import bids as bid_policy
from backend.policies import commitments as commitment_policy
from backend.policies import operators as policy
from backend.policies import slots as slot_policy
from backend.policies.users import Actor, must_be
from backend.schemas.operators import ManagedUserOut, ManagedUserPatch
from backend.services import bids, commitments, deals, events, sessions

# The floor.

SOON = timedelta(days=1)
_SHOWN = 100  # of each list of the overview

_USERS_BY_ROLE = Statement(select(User.role, func.count()).where(User.is_active).group_by(User.role))
_slot_status = slot_policy.EFFECTIVE_STATUS.label("status")
_SLOTS_BY_STATUS = Statement(select(_slot_status, func.count()).where(slot_policy.PRESENT).group_by(_slot_status))
_bid_status = bid_policy.EFFECTIVE_STATUS.label("status")
_BIDS_BY_STATUS = Statement(select(_bid_status, func.count()).join(Slot, Slot.id == Bid.slot_id).group_by(_bid_status))
_commitment_status = commitment_policy.EFFECTIVE_STATUS.label("status")
_COMMITMENTS_BY_STATUS = Statement(
    select(_commitment_status, func.count(), func.sum(Commitment.amount)).group_by(_commitment_status)
)
_HOLDS_ENDING = Statement(
    bids.joined(select(*bids.LISTED.columns))
    .where(bid_policy.LIVE_ON_PAPER, bid_policy.HOLDS_NOW, Slot.hold_expires_at <= bindparam("p_soon"))
    .order_by(Slot.hold_expires_at, Bid.id)
    .limit(_SHOWN)
)
_DELIVERIES_OVERDUE = Statement(
    commitments.ALL.where(Commitment.status == CommitmentStatus.ACTIVE.value, Commitment.deliver_by <= slot_policy.NOW)
    .order_by(Commitment.deliver_by, Commitment.id)
    .limit(_SHOWN)
)


def _counts(kind: type[StrEnum], rows: list[Record]) -> dict[str, int]:
    found = {row[0]: row[1] for row in rows}
    return {each.value: found.get(each.value, 0) for each in kind}


def _sums(rows: list[Record]) -> dict[str, dict[str, Any]]:
    found = {row[0]: {"count": row[1], "amount": row[2]} for row in rows}
    return {each.value: found.get(each.value, {"count": 0, "amount": 0}) for each in CommitmentStatus}


async def overview(db: Db, actor: Actor) -> Reply:
    """Counts of active users, slots, bids and commitments, the holds that end within a day, the late deliveries.

    The two lists hold at most a hundred, the most pressing first.
    """
    must_be(actor, Role.OPERATOR)
    now = clock.now()
    holds = await _HOLDS_ENDING.rows(db, p_now=now, p_soon=now + SOON)
    late = await _DELIVERIES_OVERDUE.rows(db, p_now=now)
    view = bids.View(actor, now)
    return Reply(
        encode(
            {
                "usersByRole": _counts(Role, await _USERS_BY_ROLE.rows(db)),
                "slotsByStatus": _counts(SlotStatus, await _SLOTS_BY_STATUS.rows(db, p_now=now)),
                "bidsByStatus": _counts(BidStatus, await _BIDS_BY_STATUS.rows(db, p_now=now)),
                "commitmentsByStatus": _sums(await _COMMITMENTS_BY_STATUS.rows(db, p_now=now)),
                "holdsEndingSoon": [bids.LISTED.value(row, view) for row in holds],
                "deliveriesOverdue": [commitments.COMMITMENT.value(row, actor) for row in late],
            }
        )
    )


# Accounts.

_USER: Shape[None] = Shape(ManagedUserOut, {name: getattr(User, name) for name in ManagedUserOut.model_fields})
_NEWEST_USER = Sort("-createdAt", User.created_at, User.id, descending=True)
USER_FILTERS: Mapping[str, Any] = {
    "q": says(User.name, User.email),
    "role": User.role == bindparam("p_role"),
    "is_active": User.is_active == bindparam("p_is_active"),
}


@cache
def _users(filters: frozenset[str], *, after: bool) -> Statement:
    clauses = [USER_FILTERS[name] for name in sorted(filters)]
    return Statement(_NEWEST_USER.apply(select(*_USER.columns).where(*clauses), after=after))


async def find_users(db: Db, actor: Actor, filters: dict[str, Any], page: Page) -> Reply:
    """Every account, newest first. `filters` are keys of `USER_FILTERS`; `q` is words of a name or an address."""
    must_be(actor, Role.OPERATOR)
    values = prefixed(filters)
    if "q" in filters:
        values["p_q"] = words(filters["q"])
    statement = _users(frozenset(filters), after=page.cursor is not None)
    rows = await statement.rows(db, **values, **_NEWEST_USER.binds(page))
    return reply_page(rows, page, _NEWEST_USER, _USER, None)


_ONE = User.id == bindparam("p_user")
_LOCK = Statement(select(User.id).where(_ONE).with_for_update())
_FIND = Statement(select(*_USER.columns).where(_ONE))
_SET_ACTIVE = Statement(
    update(User).where(_ONE).values(is_active=bindparam("p_is_active"), updated_at=bindparam("p_now"))
)


async def set_active(tx: Tx, actor: Actor, user_id: UUID, body: ManagedUserPatch, if_match: IfMatch) -> Reply:
    """Deactivate an account, or let it in again. The same once more changes nothing.

    Deactivation ends its sessions and its live deals, as buyer and as creator; commitments wait for an operator.
    Raises NotFound, StaleVersion, Conflict `own_account` or `user_deleted`.
    """
    policy.must_see_accounts(actor)
    # FOR UPDATE waits for the changes that this user has under way; what comes later is refused.
    await _LOCK.one(tx, p_user=user_id)
    row = await _FIND.one(tx, p_user=user_id)
    if row is None:
        raise NotFound
    if_match.must_allow(_USER.reply(row, None).etag)
    policy.must_activate(actor, user_id, row["deletedAt"], is_active=body.is_active)
    if row["isActive"] != body.is_active:
        await _SET_ACTIVE.one(tx, p_user=user_id, p_is_active=body.is_active, p_now=clock.now())
        action = "user.reactivated" if body.is_active else "user.deactivated"
        await events.record(tx, events.line(actor, action, (SubjectType.USER, user_id)))
        if not body.is_active:
            await sessions.end_all(tx, actor, user_id, "deactivated")
            await deals.close_for_party(tx, user_id)
    return await _reply(tx, user_id)


async def _reply(db: Db, user_id: UUID) -> Reply:
    row = await _FIND.one(db, p_user=user_id)
    assert row is not None
    return _USER.reply(row, None)
