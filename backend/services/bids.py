"""Reading bids: lists, one with its conversation, the versions of its terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import Select, and_, bindparam, case, func, select
from sqlalchemy.orm import aliased

from backend.core import clock
from backend.core.database import Db
from backend.core.errors import NotFound
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply, Shape, encode
from backend.core.statements import Statement, prefixed
from backend.models.bids import Bid, BidStatus, Side
from backend.models.comments import Comment
from backend.models.projects import Project
from backend.models.skus import Sku
from backend.models.slots import Slot
from backend.models.terms import Terms, TermsSku
from backend.models.users import Role, User
from backend.policies import bids as policy
from backend.policies import slots as slot_policy
from backend.policies.bids import Hold
from backend.policies.deals import party_of
from backend.policies.users import Actor
from backend.schemas.bids import BidListed, BidOut, BidSort, TermsOut
from backend.services import deals

_Author = aliased(User)


@dataclass(frozen=True, slots=True)
class View:
    """Who reads, and when."""

    actor: Actor
    now: datetime


def _skus(row: Record, _: View) -> list[dict[str, Any]]:
    return [{"id": sku[0], "title": sku[1], "price": sku[2], "imageUrl": sku[3]} for sku in row["_skus"]]


def _sku_ids(row: Record, _: View) -> list[UUID]:
    return [sku[0] for sku in row["_skus"]]


def _comments(row: Record, _: View) -> list[dict[str, Any]]:
    names = ("id", "authorId", "authorName", "text", "timestamp")
    return [dict(zip(names, comment, strict=True)) for comment in row["_comments"]]


def _allowed(row: Record, view: View) -> tuple[str, ...]:
    party = party_of(view.actor, row["_creator_id"], row["counterpartyId"])
    return policy.allowed_actions(deals.situation(row, "_"), party)


_COLUMNS: dict[str, Any] = {
    "id": Bid.id,
    "slot_id": Bid.slot_id,
    "counterparty_id": Bid.buyer_id,
    "counterparty": {"id": User.id, "name": User.name, "role": User.role},
    "status": policy.EFFECTIVE_STATUS,
    "amount": Terms.amount,
    "amount_terms": Terms.amount_terms,
    "objective": Terms.objective,
    "terms_version": Bid.terms_version,
    "approvals": {
        "creator": Bid.creator_approved_version.is_not(None),
        "buyer": Bid.buyer_approved_version.is_not(None),
    },
    "holds_slot": func.coalesce(policy.HOLDS_NOW, False),
    "hold_expires_at": case((policy.HOLDS_NOW, Slot.hold_expires_at)),
    "expires_at": Bid.expires_at,
    "decline_reason": policy.EFFECTIVE_REASON,
    "scene_id": Bid.scene_id,
    "scene_status": Bid.scene_status,
    "slot": {
        "id": Slot.id,
        "scene_ref": Slot.scene_ref,
        "type": Slot.type,
        "modality": Slot.modality,
        "status": slot_policy.EFFECTIVE_STATUS,
        "pricing_floor": Slot.pricing_floor,
        "project": {"id": Project.id, "title": Project.title, "genre": Project.genre},
    },
    "created_at": Bid.created_at,
    "updated_at": Bid.updated_at,
}
_NAMED_SKUS = func.array(
    select(func.row(Sku.id, Sku.title, Sku.price, Sku.image_url))
    .join(TermsSku, TermsSku.sku_id == Sku.id)
    .where(TermsSku.bid_id == Bid.id, TermsSku.version == Bid.terms_version)
    .order_by(TermsSku.position)
    .scalar_subquery()
)
_CONVERSATION = func.array(
    select(func.row(Comment.id, Comment.author_id, _Author.name, Comment.text, Comment.created_at))
    .join(_Author, _Author.id == Comment.author_id)
    .where(Comment.bid_id == Bid.id)
    .order_by(Comment.created_at, Comment.id)
    .scalar_subquery()
)
_COMMENT_COUNT = select(func.count()).where(Comment.bid_id == Bid.id).scalar_subquery()
_EXTRA: dict[str, Any] = {**deals.SITUATION, "creator_id": Bid.creator_id, "skus": _NAMED_SKUS}
_DERIVED = {"skus": _skus, "sku_ids": _sku_ids, "allowed_actions": _allowed}
LISTED: Shape[View] = Shape(BidListed, {**_COLUMNS, "comment_count": _COMMENT_COUNT}, derived=_DERIVED, extra=_EXTRA)
_BID: Shape[View] = Shape(
    BidOut, _COLUMNS, derived={**_DERIVED, "comments": _comments}, extra={**_EXTRA, "comments": _CONVERSATION}
)


def joined(statement: Select[Any]) -> Select[Any]:
    """The statement over bids with all that their columns come from."""
    return (
        statement.select_from(Bid)
        .join(Slot, Slot.id == Bid.slot_id)
        .join(Project, Project.id == Slot.project_id)
        .join(Terms, and_(Terms.bid_id == Bid.id, Terms.version == Bid.terms_version))
        .join(User, User.id == Bid.buyer_id)
    )


def _turn(side: Side) -> Any:
    """Whose turn it is: this side may approve the open terms, or commit what both approved."""
    status = policy.EFFECTIVE_STATUS
    approved = Bid.creator_approved_version if side is Side.CREATOR else Bid.buyer_approved_version
    open_terms = and_(status.in_([BidStatus.PENDING.value, BidStatus.AWAITING.value]), approved.is_(None))
    if side is Side.CREATOR:
        return open_terms & policy.HOLD.in_([Hold.FREE.value, Hold.MINE.value])
    return open_terms | (status == BidStatus.ACCEPTED.value)


SORTS = {
    BidSort.FRESHEST: Sort(BidSort.FRESHEST, Bid.updated_at, Bid.id, descending=True),
    BidSort.STALEST: Sort(BidSort.STALEST, Bid.updated_at, Bid.id, descending=False),
}
FILTERS: Mapping[str, Any] = {
    "status": policy.has_status(bindparam("p_status", type_=Bid.status.type)),
    "slot_id": Bid.slot_id == bindparam("p_slot_id"),
    "project_id": Slot.project_id == bindparam("p_project_id"),
}


@lru_cache
def _find(role: Role) -> Statement:
    return Statement(joined(select(*_BID.columns)).where(Bid.id == bindparam("p_id"), policy.visible(role)))


@cache
def _list(role: Role, filters: frozenset[str], sort: BidSort, *, after: bool) -> Statement:
    clauses = [FILTERS[name] for name in sorted(filters - {"awaiting"})]
    if "awaiting" in filters and role is not Role.OPERATOR:
        clauses.append(_turn(Side.CREATOR if role is Role.CREATOR else Side.BUYER))
    statement = joined(select(*LISTED.columns)).where(policy.visible(role), *clauses)
    return Statement(SORTS[sort].apply(statement, after=after))


async def get(db: Db, actor: Actor, bid_id: UUID) -> Reply:
    """One bid with its conversation. Raises NotFound."""
    view = View(actor, clock.now())
    row = await _find(actor.role).one(db, p_id=bid_id, p_actor=actor.id, p_now=view.now)
    if row is None:
        raise NotFound
    return Reply(encode(_BID.value(row, view)))


async def find_all(db: Db, actor: Actor, filters: dict[str, Any], sort: BidSort, page: Page) -> Reply:
    """The caller's bids. `filters` are keys of `FILTERS` with their values, and `awaiting` (never operators)."""
    if "awaiting" in filters and actor.role is Role.OPERATOR:
        return Reply(encode([]))
    view = View(actor, clock.now())
    values = prefixed(filters)
    statement = _list(actor.role, frozenset(filters), sort, after=page.cursor is not None)
    rows = await statement.rows(db, p_actor=actor.id, p_now=view.now, **values, **SORTS[sort].binds(page))
    return reply_page(rows, page, SORTS[sort], LISTED, view)


def _term_skus(row: Record, _: None) -> list[UUID]:
    return list(row["_sku_ids"])


_TERMS: Shape[None] = Shape(
    TermsOut,
    {
        name: getattr(Terms, name)
        for name in ("version", "side", "author_id", "amount", "amount_terms", "objective", "scene_id", "created_at")
    },
    derived={"sku_ids": _term_skus},
    extra={
        "sku_ids": func.array(
            select(TermsSku.sku_id)
            .where(TermsSku.bid_id == Terms.bid_id, TermsSku.version == Terms.version)
            .order_by(TermsSku.position)
            .scalar_subquery()
        )
    },
)


@lru_cache
def _versions(role: Role) -> Statement:
    return Statement(
        select(*_TERMS.columns)
        .join(Bid, Bid.id == Terms.bid_id)
        .where(Terms.bid_id == bindparam("p_id"), policy.visible(role))
        .order_by(Terms.version)
    )


async def terms(db: Db, actor: Actor, bid_id: UUID) -> Reply:
    """Every version of the terms, oldest first. Raises NotFound."""
    rows = await _versions(actor.role).rows(db, p_id=bid_id, p_actor=actor.id)
    if not rows:
        raise NotFound
    return Reply(encode([_TERMS.value(row, None) for row in rows]))
