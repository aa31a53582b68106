"""New terms: a version that voids both approvals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Invalid
from backend.core.money import written_out
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds, prefixed
from backend.models.bids import BID_MACHINE
from backend.models.events import SubjectType
from backend.models.mails import MailKind
from backend.models.skus import Sku
from backend.models.terms import Terms, TermsSku
from backend.policies import bids as policy
from backend.policies.bids import Hold
from backend.policies.deals import HoldChange, Party, must_act
from backend.policies.users import Actor
from backend.schemas.bids import TermsIn
from backend.services import bids, deals, events, notifications, scenes
from backend.services.deals import Locked

_TERMS_COLUMNS = (
    "bid_id",
    "version",
    "side",
    "author_id",
    "floor",
    "amount",
    "amount_terms",
    "objective",
    "scene_id",
    "created_at",
)
_ADD_TERMS = Statement(insert(Terms).values(**binds(*_TERMS_COLUMNS)))
_SKU_COLUMNS = ("bid_id", "version", "sku_id", "buyer_id", "position")
_NAME_SKU = Statement(insert(TermsSku).values(**binds(*_SKU_COLUMNS)))
_OWN_SKUS = Statement(
    select(Sku.id).where(
        Sku.id == func.any(bindparam("p_ids", type_=ARRAY(Uuid()))),
        Sku.merchant_id == bindparam("p_buyer"),
        Sku.removed_at.is_(None)
        | Sku.id.in_(select(TermsSku.sku_id).where(TermsSku.bid_id == bindparam("p_bid")).scalar_subquery()),
    )
)
_CURRENT_TERMS = Statement(
    select(
        Terms.amount_terms,
        Terms.objective,
        func.array(
            select(TermsSku.sku_id)
            .where(TermsSku.bid_id == Terms.bid_id, TermsSku.version == Terms.version)
            .order_by(TermsSku.position)
            .scalar_subquery()
        ).label("sku_ids"),
    ).where(Terms.bid_id == bindparam("p_bid"), Terms.version == bindparam("p_version"))
)


async def write_terms(
    tx: Tx, actor: Actor, bid_id: UUID, buyer_id: UUID, *, version: int, sku_ids: Sequence[UUID], **columns: Any
) -> None:
    """One version of the terms with the SKUs it names. Raises Invalid for a SKU that is not the buyer's own."""
    wanted = list(dict.fromkeys(sku_ids))
    if wanted:
        rows = await _OWN_SKUS.rows(tx, p_ids=wanted, p_buyer=buyer_id, p_bid=bid_id)
        own = {row["id"] for row in rows}
        if unknown := [index for index, sku_id in enumerate(sku_ids) if sku_id not in own]:
            raise Invalid(
                "A bid names the buyer's own SKUs only.",
                [{"field": f"skuIds.{index}", "message": "is not one of the buyer's SKUs"} for index in unknown],
                code="unknown_sku",
            )
    values = {**columns, "bid_id": bid_id, "version": version, "author_id": actor.id, "created_at": clock.now()}
    values["side"] = values["side"].value
    _ADD_TERMS.add(tx, **prefixed(values))
    if wanted:
        await _NAME_SKU.many(
            tx,
            [
                {"p_bid_id": bid_id, "p_version": version, "p_sku_id": sku, "p_buyer_id": buyer_id, "p_position": place}
                for place, sku in enumerate(wanted)
            ],
        )


async def new_terms(tx: Tx, actor: Actor, bid_id: UUID, body: TermsIn) -> Reply:
    """Version + 1: both approvals are void and the bid's end is renewed; fields left out stay.

    Raises NotFound, Forbidden, Conflict, Invalid.
    """
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "terms", locked.party)
    sent = body.model_fields_set
    amount: Decimal = body.amount if "amount" in sent else locked.amount
    step = locked.must(policy.terms(locked.deal, locked.party, body.base_version, amount, locked.floor))
    assert step is not None
    if "scene_id" in sent:
        await _must_offer_scene(tx, locked, body.scene_id)
    now = locked.now
    version = locked.deal.terms_version + 1
    current = await _CURRENT_TERMS.one(tx, p_bid=bid_id, p_version=locked.deal.terms_version)
    assert current is not None
    await write_terms(
        tx,
        actor,
        bid_id,
        locked.buyer_id,
        version=version,
        side=policy.side_of(locked.party),
        floor=locked.floor,
        amount=amount,
        amount_terms=_amount_terms(body, locked.amount, amount, current, tx.settings.currency),
        objective=body.objective if "objective" in sent else current["objective"],
        sku_ids=body.sku_ids if "sku_ids" in sent else current["sku_ids"],
        scene_id=body.scene_id if "scene_id" in sent else locked.scene_id,
    )
    expires_at = now + timedelta(seconds=tx.settings.bid_expires_in)
    if locked.deal.hold is Hold.MINE and locked.hold_expires_at is not None:
        expires_at = max(expires_at, locked.hold_expires_at)  # a hold never ends after its bid
    await deals.save_bid(
        tx,
        bid_id,
        now,
        status=step.to,
        terms_version=version,
        creator_approved_version=None,
        buyer_approved_version=None,
        expires_at=expires_at,
        **({"scene_id": body.scene_id, "scene_status": scenes.status_of(body.scene_id)} if "scene_id" in sent else {}),
    )
    lines = [events.line(actor, "bid.terms", (SubjectType.BID, bid_id), bid_id=bid_id, status=step.to, version=version)]
    if step.hold is HoldChange.RELEASE:
        lines += await deals.release(tx, actor, locked.slot_id, bid_id)
    await events.record(tx, *lines)
    notifications.queue(tx, MailKind.TERMS_CHANGED, locked.other_id, bid_id=bid_id)
    return await bids.get(tx, actor, bid_id)


async def _must_offer_scene(tx: Tx, locked: Locked, scene_id: UUID) -> None:
    """Whether these terms may name this scene. Raises Invalid: the scenes are the creator's to offer."""
    if locked.party is not Party.CREATOR:
        raise Invalid.field("sceneId", "is for the creator of the slot only")
    await scenes.must_be_current(tx, locked.project_id, scene_id)


def _amount_terms(body: TermsIn, before: Decimal, amount: Decimal, current: Record, currency: str) -> str:
    """What was sent; else what stood there, unless that is only the former amount written out."""
    if "amount_terms" in body.model_fields_set:
        return body.amount_terms
    kept: str = current["amount_terms"]
    return written_out(amount, currency) if kept == written_out(before, currency) else kept
