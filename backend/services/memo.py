"""The deal memo: what both sides approved, and what became of it, as a PDF.

Times are in UTC. The document is dated by the latest thing it tells, so that the same state of a deal gives the same
bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
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
from backend.core.database import Db
from backend.core.errors import Conflict, NotFound
from backend.core.money import written_out
from backend.core.statements import Statement
from backend.integrations.typst import typeset
from backend.models.approvals import Approval
from backend.models.bids import Bid, BidStatus, Side
from backend.models.commitments import Commitment
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
    Bid.creator_id,
    Bid.buyer_id,
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
    """A memo ready to be set: its file name, its date and what it says."""

    file_name: str
    dated: datetime
    data: dict[str, Any]


async def find(db: Db, actor: Actor, bid_id: UUID) -> Memo:
    """What the memo of a bid says. Raises NotFound; Conflict `wrong_state` for a bid that never came to be Accepted.

    A cancelled deal keeps its memo: the commitment was made under it.
    """
    row = await _find(actor.role).one(db, p_bid=bid_id, p_actor=actor.id, p_now=clock.now())
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
    # What was approved does not change any more, so these two agree with the row above.
    history = await _HISTORY.rows(db, p_bid=bid_id)
    approvals = await _APPROVALS.rows(db, p_bid=bid_id, p_version=row["terms_version"])
    return _memo(row, history, approvals, db.settings.currency)


async def render(memo: Memo) -> bytes:
    """The PDF. The same memo gives the same bytes."""
    return await typeset("memo", memo.data, memo.dated)


def canonical_terms(row: Record, currency: str) -> dict[str, Any]:
    """The terms as they are hashed: a JSON object of texts, numbers of versions, and ids in the order named."""
    return {
        "amount": f"{row['amount']:.2f}",
        "amountTerms": row["amount_terms"],
        "bidId": str(row["id"]),
        "buyerId": str(row["buyer_id"]),
        "creatorId": str(row["creator_id"]),
        "currency": currency,
        "objective": row["objective"],
        "skuIds": [str(sku[0]) for sku in row["products"]],
        "slotId": str(row["slot_id"]),
        "termsVersion": row["terms_version"],
    }


def digest_of(terms: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON: UTF-8, keys in alphabetical order, no spaces, nothing escaped needlessly."""
    text = json.dumps(terms, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _memo(row: Record, history: Sequence[Record], approvals: Sequence[Record], currency: str) -> Memo:
    terms = canonical_terms(row, currency)
    committed = row["committed_at"] is not None
    data = {
        "title": f"Deal memo: {row['title']}",
        "status": row["commitment_status"] or row["status"],
        "reference": str(row["id"]),
        "amount": written_out(row["amount"], currency),
        "parties": [
            {"side": "Creator", "name": _breakable(row["creator_name"])},
            {"side": f"Buyer · {row['buyer_role']}", "name": _breakable(row["buyer_name"])},
        ],
        **_subject(row),
        "history": [_version(each, currency) for each in history],
        "approvals": [
            {"side": _SIDES[each["side"]], "by": _breakable(each["name"]), "at": _moment(each["created_at"])}
            for each in approvals
        ],
        "deadline": None if committed else _moment(row["hold_expires_at"]),
        "commitment": _commitment(row) if committed else None,
        "digest": digest_of(terms),
        "digestKeys": sorted(terms),
    }
    told = [each["created_at"] for each in approvals] + [row[name] for name in _HAPPENED if row[name]]
    return Memo(f"Deal memo – {row['title']} – {str(row['id'])[-12:]}.pdf", max(told), data)


_SIDES = {Side.CREATOR.value: "Creator", Side.BUYER.value: "Buyer"}
_HAPPENED = ("committed_at", "delivered_at", "completed_at", "cancelled_at")


def _subject(row: Record) -> dict[str, Any]:
    """What the deal is about: project, placement and terms."""
    return {
        "project": {
            "title": _breakable(row["title"]),
            "genre": _breakable(row["genre"]),
            "window": _breakable(row["production_window"]),
        },
        "placement": {
            "scene": _breakable(row["scene_ref"]),
            "kind": row["type"],
            "modality": row["modality"],
            "description": _breakable(row["description"]),
            "constraints": [_breakable(each) for each in row["constraints"]],
        },
        "terms": {
            "version": row["terms_version"],
            "amount": _breakable(row["amount_terms"]),
            "objective": _breakable(row["objective"]),
            "products": [_breakable(sku[1]) for sku in row["products"]],
        },
    }


def _version(row: Record, currency: str) -> dict[str, Any]:
    """One line of how the terms came about."""
    return {
        "version": row["version"],
        "at": _moment(row["created_at"]),
        "by": _breakable(row["name"]),
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
    facts = [{"name": name, "value": _moment(row[column])} for name, column in _COMMITMENT_TIMES if row[column]]
    if row["evidence_url"]:
        facts.append({"name": "Evidence", "value": _breakable(row["evidence_url"])})
    return facts


_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def _moment(at: datetime) -> str:
    """`20 November 2026, 09:05 UTC`, whatever the machine's language."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


# Latin, Greek and Cyrillic letters, between which no line breaks; never before a combining mark.
_LONG_WORD = re.compile("[!-~\u00a1-\u052f]{24}(?=[!-~\u00a1-\u02ff\u0370-\u0482\u048a-\u052f]{8})")


def _breakable(words: Any) -> Any:
    """Text with places to break inside words that no line could hold; None stays None."""
    return None if words is None else _LONG_WORD.sub(lambda found: found[0] + "\u200b", words)
