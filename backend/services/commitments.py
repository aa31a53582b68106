"""Commitments: the binding spend and its way to a completed placement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, case, insert, select

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply, Shape, encode
from backend.core.statements import Statement, binds, prefixed
from backend.models.bids import Bid
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.events import SubjectType
from backend.models.users import Role
from backend.policies import commitments as policy
from backend.policies.deals import party_of
from backend.policies.users import Actor
from backend.schemas.commitments import CommitmentOut
from backend.services import deals, events
from backend.services.deals import Locked


def _allowed(row: Record, actor: Actor) -> tuple[str, ...]:
    return policy.allowed_actions(deals.placement(row, "_"), party_of(actor, row["_creator_id"], row["counterpartyId"]))


COMMITMENT: Shape[Actor] = Shape(
    CommitmentOut,
    {
        "id": Commitment.id,
        "bid_id": Commitment.bid_id,
        "bid_status": Bid.status,
        "slot_id": Commitment.slot_id,
        "project_id": Commitment.project_id,
        "counterparty_id": Commitment.buyer_id,
        "amount": Commitment.amount,
        "status": policy.EFFECTIVE_STATUS,
        "deliver_by": Commitment.deliver_by,
        "delivered_at": Commitment.delivered_at,
        "evidence_url": Commitment.evidence_url,
        "confirm_by": Commitment.confirm_by,
        "completed_at": case((policy.CONFIRMED_BY_CLOCK, Commitment.confirm_by), else_=Commitment.completed_at),
        "cancel_requested_by": Commitment.cancel_requested_by,
        "created_at": Commitment.created_at,
    },
    derived={"allowed_actions": _allowed},
    extra={**deals.PLACEMENT, "creator_id": Commitment.creator_id},
)
ALL = select(*COMMITMENT.columns).join(Bid, Bid.id == Commitment.bid_id)
_NEWEST = Sort("-createdAt", Commitment.created_at, Commitment.id, descending=True)
FILTERS: Mapping[str, Any] = {
    "status": policy.has_status(bindparam("p_status", type_=Commitment.status.type)),
    "project_id": Commitment.project_id == bindparam("p_project_id"),
}


@lru_cache
def _find(role: Role) -> Statement:
    return Statement(ALL.where(Commitment.id == bindparam("p_id"), policy.visible(role)))


@lru_cache
def _of_bid(role: Role) -> Statement:
    return Statement(ALL.where(Commitment.bid_id == bindparam("p_bid"), policy.visible(role)))


@lru_cache
def _list(role: Role, filters: frozenset[str], *, after: bool) -> Statement:
    clauses = [FILTERS[name] for name in sorted(filters)]
    return Statement(_NEWEST.apply(ALL.where(policy.visible(role), *clauses), after=after))


async def get(db: Db, actor: Actor, commitment_id: UUID) -> Reply:
    """One commitment. Raises NotFound."""
    row = await _find(actor.role).one(db, p_id=commitment_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    return Reply(encode(COMMITMENT.value(row, actor)))


async def of_bid(db: Db, actor: Actor, bid_id: UUID) -> Reply:
    """The commitment of a bid. Raises NotFound."""
    row = await _of_bid(actor.role).one(db, p_bid=bid_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    return Reply(encode(COMMITMENT.value(row, actor)))


async def find_all(db: Db, actor: Actor, filters: dict[str, Any], page: Page) -> Reply:
    """The caller's commitments, newest first. `filters` are keys of `FILTERS` with their values."""
    values = prefixed(filters)
    statement = _list(actor.role, frozenset(filters), after=page.cursor is not None)
    rows = await statement.rows(db, p_actor=actor.id, p_now=clock.now(), **values, **_NEWEST.binds(page))
    return reply_page(rows, page, _NEWEST, COMMITMENT, actor)


_COLUMNS = (
    "id",
    "bid_id",
    "terms_version",
    "slot_id",
    "project_id",
    "creator_id",
    "buyer_id",
    "amount",
    "deliver_by",
)
_CREATE = Statement(
    insert(Commitment).values(
        **binds(*_COLUMNS),
        status=CommitmentStatus.ACTIVE.value,
        created_at=bindparam("p_now"),
        updated_at=bindparam("p_now"),
    )
)


async def create(tx: Tx, actor: Actor, locked: Locked) -> None:
    """The commitment of a locked deal that is being committed: the amount and the version that both approved."""
    commitment_id = new_id()
    await _CREATE.one(
        tx,
        p_id=commitment_id,
        p_bid_id=locked.bid_id,
        p_terms_version=locked.deal.terms_version,
        p_slot_id=locked.slot_id,
        p_project_id=locked.project_id,
        p_creator_id=locked.creator_id,
        p_buyer_id=locked.buyer_id,
        p_amount=locked.amount,
        p_deliver_by=locked.now + timedelta(seconds=tx.settings.deliver_within),
        p_now=locked.now,
    )
    await events.record(
        tx,
        events.line(
            actor,
            "commitment.created",
            (SubjectType.COMMITMENT, commitment_id),
            bid_id=locked.bid_id,
            status=CommitmentStatus.ACTIVE.value,
        ),
    )
