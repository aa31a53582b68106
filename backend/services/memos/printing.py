"""What a memo prints: what both sides approved, as it was issued, and what became of it.

Times are in UTC. The document is dated by the latest thing it tells, so that the same state of a deal gives the same
bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, case, func, select
from sqlalchemy.orm import aliased

from backend.core import clock
from backend.core.barcodes import qr_svg
from backend.core.config import Settings
from backend.core.database import Tx
from backend.core.errors import Conflict, NotFound
from backend.core.money import written_out
from backend.core.statements import Statement
from backend.core.wording import breakable, moment
from backend.integrations.typst import typeset
from backend.models.approvals import Approval
from backend.models.bids import Bid, BidStatus, Side
from backend.models.commitments import Commitment
from backend.models.memos import Memo as MemoRow
from backend.models.projects import Project
from backend.models.skus import Sku
from backend.models.slots import Slot
from backend.models.terms import Terms, TermsSku
from backend.models.users import Role, User
from backend.policies import bids as policy
from backend.policies import commitments as commitment_policy
from backend.policies.deals import party_of
from backend.policies.users import Actor
from backend.services import deals
from backend.services.memos.issuing import canonical, issue

_Creator, _Buyer = aliased(User), aliased(User)

_PRODUCTS = func.array(
    select(func.row(Sku.id, Sku.title))
    .join(TermsSku, TermsSku.sku_id == Sku.id)
    .where(TermsSku.bid_id == Bid.id, TermsSku.version == Bid.terms_version)
    .order_by(TermsSku.position)
    .scalar_subquery()
)


_COLUMNS = (
    *(column.label(name) for name, column in deals.SITUATION.items()),
    Bid.id,
    Bid.slot_id,
    Slot.project_id,
    Bid.creator_id,
    Bid.buyer_id,
    MemoRow.content,
    MemoRow.sha256,
    Terms.amount,
    Terms.amount_terms,
    Terms.objective,
    _PRODUCTS.label("products"),
    _Creator.name.label("creator_name"),
    _Buyer.name.label("buyer_name"),
    _Buyer.role.label("buyer_role"),
    Slot.scene_ref,
    Slot.description,
    Slot.type,
    Slot.constraints,
    Slot.hold_expires_at,
    Project.title,
    Project.genre,
    Project.production_window,
    commitment_policy.EFFECTIVE_STATUS.label("commitment_status"),
    Commitment.created_at.label("committed_at"),
    Commitment.deliver_by,
    Commitment.delivered_at,
    Commitment.evidence_url,
    case((Commitment.completed_at.is_(None), Commitment.confirm_by)).label("open_until"),
    case((commitment_policy.CONFIRMED_BY_CLOCK, Commitment.confirm_by), else_=Commitment.completed_at).label(
        "completed_at"
    ),
    Commitment.cancelled_at,
)


@lru_cache
def _find(role: Role) -> Statement:
    return Statement(
        select(*_COLUMNS)
        .select_from(Bid)
        .join(Slot, Slot.id == Bid.slot_id)
        .join(Project, Project.id == Slot.project_id)
        .join(Terms, and_(Terms.bid_id == Bid.id, Terms.version == Bid.terms_version))
        .join(_Creator, _Creator.id == Bid.creator_id)
        .join(_Buyer, _Buyer.id == Bid.buyer_id)
        .outerjoin(Commitment, Commitment.bid_id == Bid.id)
        .outerjoin(MemoRow, and_(MemoRow.bid_id == Bid.id, MemoRow.terms_version == Bid.terms_version))
        .where(Bid.id == bindparam("p_bid"), policy.visible(role))
    )


_HISTORY = Statement(
    select(Terms.version, Terms.side, Terms.amount, Terms.created_at, User.name)
    .join(User, User.id == Terms.author_id)
    .where(Terms.bid_id == bindparam("p_bid"))
    .order_by(Terms.version)
)
_APPROVALS = Statement(
    select(Approval.side, Approval.created_at, User.name)
    .join(User, User.id == Approval.user_id)
    .where(Approval.bid_id == bindparam("p_bid"), Approval.terms_version == bindparam("p_version"))
    .order_by(Approval.created_at, Approval.side)
)


@dataclass(frozen=True, slots=True)
class Memo:
    """A memo ready to be set: whose it is, its file name, its date and what it says."""

    bid_id: UUID
    slot_id: UUID
    project_id: UUID
    terms_version: int
    draft_number: int
    file_name: str
    dated: datetime
    data: dict[str, Any]


async def find(tx: Tx, actor: Actor, bid_id: UUID) -> Memo:
    """What the memo of a bid says. Raises NotFound; Conflict `wrong_state` for a bid that never came to be Accepted.

    A cancelled deal keeps its memo: the commitment was made under it. A deal that a release without issued memos
    approved has its own issued now.
    """
    row = await _approved(tx, actor, bid_id)
    if row["content"] is None:
        await issue(tx, bid_id)
        row = await _approved(tx, actor, bid_id)
    # What was approved does not change any more, so these two agree with the row above.
    history = await _HISTORY.rows(tx, p_bid=bid_id)
    approvals = await _APPROVALS.rows(tx, p_bid=bid_id, p_version=row["terms_version"])
    told = [each["created_at"] for each in approvals] + [row[name] for name in _HAPPENED if row[name]]
    content = json.loads(row["content"])
    return Memo(
        bid_id=bid_id,
        slot_id=row["slot_id"],
        project_id=row["project_id"],
        terms_version=row["terms_version"],
        draft_number=content["draft"]["number"],
        file_name=f"Deal memo – {row['title']} – {str(row['id'])[-12:]}.pdf",
        dated=max(told),
        data=_said(row, content, history, approvals, tx.settings),
    )


async def render(memo: Memo) -> bytes:
    """The PDF. The same memo gives the same bytes."""
    return await typeset("memo", memo.data, memo.dated)


async def _approved(tx: Tx, actor: Actor, bid_id: UUID) -> Record:
    row = await _find(actor.role).one(tx, p_bid=bid_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    if row["committed_at"] is None and row["status"] != BidStatus.ACCEPTED.value:
        party = party_of(actor, row["creator_id"], row["buyer_id"])
        raise Conflict(
            "There is a memo once both sides have approved the terms.",
            code="wrong_state",
            currentStatus=row["status"],
            allowedActions=list(policy.allowed_actions(deals.situation(row), party)),
        )
    return row


def _said(
    row: Record, content: dict[str, Any], history: Sequence[Record], approvals: Sequence[Record], settings: Settings
) -> dict[str, Any]:
    committed = row["committed_at"] is not None
    return {
        "title": f"Deal memo: {row['title']}",
        "status": row["commitment_status"] or row["status"],
        "reference": str(row["id"]),
        "amount": written_out(row["amount"], settings.currency),
        "parties": [
            {"side": "Creator", "name": breakable(row["creator_name"])},
            {"side": f"Buyer · {row['buyer_role']}", "name": breakable(row["buyer_name"])},
        ],
        **_subject(row, content["scene"]),
        "history": [_version(each, settings.currency) for each in history],
        "approvals": [
            {"side": _SIDES[each["side"]], "by": breakable(each["name"]), "at": moment(each["created_at"])}
            for each in approvals
        ],
        "deadline": None if committed else moment(row["hold_expires_at"]),
        "commitment": _commitment(row) if committed else None,
        "proof": _proof(row, content, settings),
    }


def _proof(row: Record, content: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The digests, the very texts that the first two are of, and where anyone may ask whether this was issued."""
    terms = canonical(content["terms"])
    digest = row["sha256"].hex()
    address = f"{settings.address}/api/v1/verify/{digest}" if settings.address else None
    return {
        "digest": digest,
        "content": row["content"],
        "termsDigest": hashlib.sha256(terms.encode()).hexdigest(),
        "terms": terms,
        "draft": content["draft"],
        "address": address,
        "code": qr_svg(address) if address else None,
    }


_SIDES = {Side.CREATOR.value: "Creator", Side.BUYER.value: "Buyer"}
_HAPPENED = ("committed_at", "delivered_at", "completed_at", "cancelled_at")


def _subject(row: Record, scene: dict[str, Any] | None) -> dict[str, Any]:
    """What the deal is about: project, placement and terms."""
    return {
        "project": {
            "title": breakable(row["title"]),
            "genre": breakable(row["genre"]),
            "window": breakable(row["production_window"]),
        },
        "placement": {
            "scene": breakable(row["scene_ref"]),
            "script": None if scene is None else {**scene, "lines": [breakable(each) for each in scene["lines"]]},
            "kind": row["type"],
            "modality": row["modality"],
            "description": breakable(row["description"]),
            "constraints": [breakable(each) for each in row["constraints"]],
        },
        "terms": {
            "version": row["terms_version"],
            "amount": breakable(row["amount_terms"]),
            "objective": breakable(row["objective"]),
            "products": [breakable(sku[1]) for sku in row["products"]],
        },
    }


def _version(row: Record, currency: str) -> dict[str, Any]:
    """One line of how the terms came about."""
    return {
        "version": row["version"],
        "at": moment(row["created_at"]),
        "by": breakable(row["name"]),
        "side": row["side"],
        "amount": written_out(row["amount"], currency),
    }


_COMMITMENT_TIMES = (
    ("Committed", "committed_at"),
    ("Deliver by", "deliver_by"),
    ("Delivered", "delivered_at"),
    ("Confirm by", "open_until"),
    ("Completed", "completed_at"),
    ("Cancelled", "cancelled_at"),
)


def _commitment(row: Record) -> list[dict[str, str]]:
    """What is known of the commitment: its times in the order in which they come, and the evidence."""
    facts = [{"name": name, "value": moment(row[column])} for name, column in _COMMITMENT_TIMES if row[column]]
    if row["evidence_url"]:
        facts.append({"name": "Evidence", "value": breakable(row["evidence_url"])})
    return facts
