"""What a memo states, as canonical JSON, and the row that says so from then on (decision 108)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from backend.core.database import Tx
from backend.core.statements import Statement, binds
from backend.models.approvals import Approval
from backend.models.bids import Bid
from backend.models.memos import Memo
from backend.models.projects import Draft, Project
from backend.models.scenes import SceneRow
from backend.models.slots import Slot
from backend.models.terms import Terms, TermsSku
from backend.services import excerpts

_STATED = Statement(
    select(
        Bid.id,
        Bid.slot_id,
        Bid.creator_id,
        Bid.buyer_id,
        Bid.terms_version,
        Terms.amount,
        Terms.amount_terms,
        Terms.objective,
        func.array(
            select(TermsSku.sku_id)
            .where(TermsSku.bid_id == Bid.id, TermsSku.version == Bid.terms_version)
            .order_by(TermsSku.position)
            .scalar_subquery()
        ).label("sku_ids"),
        *(column.label(name) for name, column in excerpts.SCENE.items()),
        Draft.number.label("draft_number"),
        func.encode(Draft.sha256, "hex").label("draft_sha256"),
    )
    .join(Slot, Slot.id == Bid.slot_id)
    .join(Project, Project.id == Slot.project_id)
    .join(Terms, and_(Terms.bid_id == Bid.id, Terms.version == Bid.terms_version))
    .outerjoin(SceneRow, SceneRow.id == Terms.scene_id)
    .join(
        Draft,
        and_(
            Draft.project_id == Project.id,
            Draft.number == func.coalesce(SceneRow.draft_number, Project.draft_number),
        ),
    )
    .where(Bid.id == bindparam("p_bid"))
)
_APPROVALS = Statement(
    select(Approval.side, Approval.user_id, Approval.created_at)
    .where(Approval.bid_id == bindparam("p_bid"), Approval.terms_version == bindparam("p_version"))
    .order_by(Approval.side.desc())
)
_ISSUE = Statement(
    insert(Memo).values(**binds("bid_id", "terms_version", "content", "sha256", "issued_at")).on_conflict_do_nothing()
)


async def issue(tx: Tx, bid_id: UUID) -> None:
    """Write down what the memo of a bid that both sides have approved states. A second time it changes nothing."""
    row = await _STATED.one(tx, p_bid=bid_id)
    assert row is not None, "a bid has its terms, its slot and a draft"
    approvals = await _APPROVALS.rows(tx, p_bid=bid_id, p_version=row["terms_version"])
    content = canonical(_content(row, approvals, tx.settings.currency))
    await _ISSUE.one(
        tx,
        p_bid_id=bid_id,
        p_terms_version=row["terms_version"],
        p_content=content,
        p_sha256=hashlib.sha256(content.encode()).digest(),
        p_issued_at=max(each["created_at"] for each in approvals),
    )


def canonical(value: Mapping[str, Any]) -> str:
    """JSON with keys in alphabetical order, no spaces outside texts, and nothing escaped needlessly."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _content(row: Record, approvals: Sequence[Record], currency: str) -> dict[str, Any]:
    return {
        "approvals": [
            {"at": _exactly(each["created_at"]), "side": each["side"], "userId": str(each["user_id"])}
            for each in approvals
        ],
        "draft": {"number": row["draft_number"], "sha256": row["draft_sha256"]},
        "scene": _scene(row),
        "terms": {
            "amount": f"{row['amount']:.2f}",
            "amountTerms": row["amount_terms"],
            "bidId": str(row["id"]),
            "buyerId": str(row["buyer_id"]),
            "creatorId": str(row["creator_id"]),
            "currency": currency,
            "objective": row["objective"],
            "sceneId": None if row["scene_id"] is None else str(row["scene_id"]),
            "skuIds": [str(each) for each in row["sku_ids"]],
            "slotId": str(row["slot_id"]),
            "termsVersion": row["terms_version"],
        },
    }


def _scene(row: Record) -> dict[str, Any] | None:
    """The scene of the deal as both parties may read it; what is shown later of its slot makes no difference."""
    if row["scene_id"] is None:
        return None
    return {
        "heading": row["heading"],
        "lines": excerpts.lines_of(row["passages"], row["category"]),
        "number": row["scene_number"],
        "page": row["page"],
    }


def _exactly(at: datetime) -> str:
    """A time in UTC to the microsecond, always with six places."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"
