"""Changing bids: place, new terms, approve, decline, withdraw, commit. Each locks, decides, saves (deals.py)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, case, exists, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Forbidden, Invalid, NotFound
from backend.core.ids import new_id
from backend.core.money import written_out
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds, prefixed
from backend.models.approvals import Approval
from backend.models.base import Timestamp
from backend.models.bids import BID_MACHINE, Bid, BidStatus, DeclineReason, Side
from backend.models.events import SubjectType
from backend.models.skus import Sku
from backend.models.slots import Modality, Slot, SlotStatus
from backend.models.terms import Terms, TermsSku
from backend.models.users import BUYERS, Role, User
from backend.policies import bids as policy
from backend.policies import slots as slot_policy
from backend.policies.bids import Hold, Offer
from backend.policies.deals import HoldChange, must, must_act, must_name_side
from backend.policies.users import Actor
from backend.schemas.bids import ApproveIn, BidIn, CommitIn, DeclineIn, OnBehalfOf, TermsIn, WithdrawIn
from backend.services import bids, comments, commitments, deals, events
from backend.services.deals import Locked

# Placing.


@lru_cache
def _peek(role: Role) -> Statement:
    return Statement(select(Slot.modality).where(Slot.id == bindparam("p_slot"), slot_policy.visible(role)))


@lru_cache
def _lock_slot(role: Role) -> Statement:
    return Statement(
        select(Slot.id).where(Slot.id == bindparam("p_slot"), slot_policy.visible(role)).with_for_update(of=Slot)
    )


_LOCK_BUYER = Statement(select(User.id).where(User.id == bindparam("p_actor")).with_for_update(key_share=True))
_MINE_HERE = (Bid.slot_id == Slot.id, Bid.buyer_id == bindparam("p_actor"))
_OFFER = Statement(
    select(
        Slot.id.label("slot_id"),
        Slot.creator_id,
        Slot.modality,
        Slot.pricing_floor,
        slot_policy.EFFECTIVE_STATUS.label("status"),
        and_(Slot.holder_bid_id.is_not(None), Slot.hold_expires_at.is_(None)).label("holder_committed"),
        func.coalesce(Slot.bidding_closes_at <= slot_policy.NOW, False).label("bidding_closed"),
        case((slot_policy.hold_overdue, Slot.holder_bid_id)).label("overdue_holder"),
        select(Bid.id)
        .where(*_MINE_HERE, Bid.status != BidStatus.DECLINED.value)
        .correlate(Slot)
        .scalar_subquery()
        .label("own_bid"),
        exists()
        .where(*_MINE_HERE, Bid.hold_ended_at > bindparam("p_cooled", type_=Timestamp))
        .correlate(Slot)
        .label("cooling_down"),
        case((slot_policy.hold_overdue, Slot.hold_expires_at)).label("overdue_since"),
    ).where(Slot.id == bindparam("p_slot"))
)
_HELD_BY_ME = Statement(
    select(func.count())
    .select_from(Slot)
    .join(Bid, Bid.id == Slot.holder_bid_id)
    .where(
        Bid.buyer_id == bindparam("p_actor"),
        Slot.modality == Modality.RESERVATION.value,
        Slot.hold_expires_at > slot_policy.NOW,
    )
)
_OWN_OVERDUE = Statement(
    select(Bid.id, policy.OVERDUE.label("overdue"), policy.EFFECTIVE_REASON.label("reason"))
    .join(Slot, Slot.id == Bid.slot_id)
    .where(Bid.id == bindparam("p_bid"))
)
_BID_COLUMNS = ("id", "slot_id", "creator_id", "buyer_id", "modality", "expires_at")
_CREATE = Statement(
    insert(Bid).values(
        **binds(*_BID_COLUMNS),
        status=BidStatus.PENDING.value,
        terms_version=1,
        created_at=bindparam("p_now"),
        updated_at=bindparam("p_now"),
    )
)


async def place(tx: Tx, actor: Actor, slot_id: UUID, body: BidIn) -> Reply:
    """A new bid; on a PG/Reservation slot it takes the hold. Raises NotFound, Forbidden, Conflict, Invalid."""
    modality = await _peek(actor.role).value(tx, p_slot=slot_id, p_actor=actor.id)
    if modality is None:
        raise NotFound
    if actor.role not in BUYERS:
        raise Forbidden("Only buyers place bids.", code="wrong_role")
    if modality == Modality.RESERVATION.value:
        # The count of a buyer's holds is judged under the buyer's lock (user before slot).
        await _LOCK_BUYER.one(tx, p_actor=actor.id)
    if await _lock_slot(actor.role).value(tx, p_slot=slot_id, p_actor=actor.id) is None:
        raise NotFound
    return await _place(tx, actor, slot_id, body)


async def _place(tx: Tx, actor: Actor, slot_id: UUID, body: BidIn) -> Reply:
    now = clock.now()
    cooled = now - timedelta(seconds=tx.settings.hold_cooldown)
    row = await _OFFER.one(tx, p_slot=slot_id, p_actor=actor.id, p_now=now, p_cooled=cooled)
    assert row is not None
    own = await _end_own_overdue(tx, row, now) if row["own_bid"] is not None else None
    offer = Offer(
        slot_status=SlotStatus(row["status"]),
        modality=Modality(row["modality"]),
        holder_committed=row["holder_committed"],
        bidding_closed=row["bidding_closed"],
        floor=row["pricing_floor"],
        has_bid=row["own_bid"] is not None and own is None,
        cooling_down=row["cooling_down"] or (own is DeclineReason.HOLD_EXPIRED and row["overdue_since"] > cooled),
        holds=await _HELD_BY_ME.value(tx, p_actor=actor.id, p_now=now),
        max_holds=tx.settings.max_holds,
    )
    step = must(policy.place(offer, body.amount), offer.slot_status, ())
    assert step is not None
    bid_id = new_id()
    expires_at = now + timedelta(seconds=tx.settings.bid_expires_in)
    await _CREATE.one(
        tx,
        p_id=bid_id,
        p_slot_id=slot_id,
        p_creator_id=row["creator_id"],
        p_buyer_id=actor.id,
        p_modality=row["modality"],
        p_expires_at=expires_at,
        p_now=now,
    )
    await _write_terms(
        tx,
        actor,
        bid_id,
        actor.id,
        version=1,
        side=Side.BUYER,
        floor=offer.floor,
        amount=body.amount,
        amount_terms=body.amount_terms or written_out(body.amount, tx.settings.currency),
        objective=body.objective,
        sku_ids=body.sku_ids,
    )
    line = events.line(actor, "bid.placed", (SubjectType.BID, bid_id), bid_id=bid_id, status=step.to, slot_id=slot_id)
    lines = [line]
    if step.hold is HoldChange.TAKE:
        overdue = row["overdue_holder"] if row["overdue_holder"] != row["own_bid"] else None
        until = deals.hold_until(tx, now, expires_at)
        lines += await deals.take_hold(tx, actor, slot_id, bid_id, until, overdue_holder=overdue, now=now)
    await events.record(tx, *lines)
    if body.message is not None:
        await comments.add(tx, actor, bid_id, body.message)
    return await bids.get(tx, actor, bid_id)


async def _end_own_overdue(tx: Tx, row: Record, now: Any) -> DeclineReason | None:
    """The caller's former bid on this slot, when it has run out: written as ended, so that a new one may follow.

    If the placing is refused all the same, this is rolled back with it: refusals never write.
    """
    former = await _OWN_OVERDUE.one(tx, p_bid=row["own_bid"], p_now=now)
    assert former is not None
    if not former["overdue"]:
        return None
    reason = DeclineReason(former["reason"])
    held = row["overdue_holder"] == former["id"]
    lines = await deals.end_bid(tx, deals.SYSTEM, former["id"], reason, "bid.expired", now, held=held)
    if held:
        lines += await deals.release(tx, deals.SYSTEM, row["slot_id"], former["id"])
    await events.record(tx, *lines)
    return reason


# Terms.

_TERMS_COLUMNS = (
    "bid_id",
    "version",
    "side",
    "author_id",
    "floor",
    "amount",
    "amount_terms",
    "objective",
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


async def _write_terms(
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
    await _ADD_TERMS.one(tx, **prefixed(values))
    if wanted:
        await _NAME_SKU.many(
            tx,
            [
                {"p_bid_id": bid_id, "p_version": version, "p_sku_id": sku, "p_buyer_id": buyer_id, "p_position": place}
                for place, sku in enumerate(wanted)
            ],
        )


async def new_terms(tx: Tx, actor: Actor, bid_id: UUID, body: TermsIn) -> Reply:
    """Version + 1; both approvals are void. Fields left out stay. Raises NotFound, Forbidden, Conflict, Invalid."""
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "terms", locked.party)
    sent = body.model_fields_set
    amount: Decimal = body.amount if "amount" in sent else locked.amount
    step = locked.must(policy.terms(locked.deal, locked.party, body.base_version, amount, locked.floor))
    assert step is not None
    now = locked.now
    version = locked.deal.terms_version + 1
    current = await _CURRENT_TERMS.one(tx, p_bid=bid_id, p_version=locked.deal.terms_version)
    assert current is not None
    await _write_terms(
        tx,
        actor,
        bid_id,
        locked.buyer_id,
        version=version,
        side=policy.side_of(locked.party),
        floor=locked.floor,
        amount=amount,
        amount_terms=_amount_terms(tx, body, amount, current),
        objective=body.objective if "objective" in sent else current["objective"],
        sku_ids=body.sku_ids if "sku_ids" in sent else current["sku_ids"],
    )
    releases = step.hold is HoldChange.RELEASE
    await deals.save_bid(
        tx,
        bid_id,
        now,
        status=step.to,
        terms_version=version,
        creator_approved_version=None,
        buyer_approved_version=None,
        expires_at=now + timedelta(seconds=tx.settings.bid_expires_in),
    )
    lines = [events.line(actor, "bid.terms", (SubjectType.BID, bid_id), bid_id=bid_id, status=step.to, version=version)]
    if releases:
        lines += await deals.release(tx, actor, locked.slot_id, bid_id)
    await events.record(tx, *lines)
    return await bids.get(tx, actor, bid_id)


def _amount_terms(tx: Tx, body: TermsIn, amount: Decimal, current: Record) -> str:
    """What was sent; else the new amount written out; else what stood there."""
    if "amount_terms" in body.model_fields_set:
        return body.amount_terms
    if "amount" in body.model_fields_set:
        return written_out(amount, tx.settings.currency)
    kept: str = current["amount_terms"]
    return kept


# Approving, ending, committing.

_APPROVAL_COLUMNS = ("bid_id", "terms_version", "side", "user_id", "created_at")
_ADD_APPROVAL = Statement(insert(Approval).values(**binds(*_APPROVAL_COLUMNS)))


async def approve(tx: Tx, actor: Actor, bid_id: UUID, body: ApproveIn) -> Reply:
    """One side's yes; the second makes the bid Accepted. Raises NotFound, Forbidden, Conflict."""
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "approve", locked.party)
    step = locked.must(policy.approve(locked.deal, locked.party, body.terms_version))
    if step is not None:
        side = policy.side_of(locked.party)
        await _save_approval(tx, actor, locked, side)
        columns: dict[str, Any] = {f"{side.value}_approved_version": locked.deal.terms_version}
        lines = [_approval_line(actor, locked, side, step.to)]
        if step.hold is HoldChange.TAKE:
            until = deals.hold_until(tx, locked.now, locked.expires_at)
            lines += await deals.take_hold(
                tx, actor, locked.slot_id, bid_id, until, overdue_holder=locked.overdue_holder, now=locked.now
            )
        if step.to == BidStatus.ACCEPTED.value:
            deadline = locked.now + timedelta(seconds=tx.settings.commit_within)
            await deals.set_hold_end(tx, locked.slot_id, deadline)
            columns["expires_at"] = max(locked.expires_at, deadline)
        await deals.save_bid(tx, bid_id, locked.now, status=step.to, **columns)
        await events.record(tx, *lines)
    return await bids.get(tx, actor, bid_id)


def _approval_line(actor: Actor, locked: Locked, side: Side, status: str) -> dict[str, Any]:
    return events.line(
        actor,
        "bid.approved",
        (SubjectType.BID, locked.bid_id),
        bid_id=locked.bid_id,
        status=status,
        side=side,
        version=locked.deal.terms_version,
    )


async def _save_approval(tx: Tx, actor: Actor, locked: Locked, side: Side) -> None:
    await _ADD_APPROVAL.one(
        tx,
        p_bid_id=locked.bid_id,
        p_terms_version=locked.deal.terms_version,
        p_side=side.value,
        p_user_id=actor.id,
        p_created_at=locked.now,
    )


async def decline(tx: Tx, actor: Actor, bid_id: UUID, body: DeclineIn) -> Reply:
    """The creator's no, with a reason. Raises NotFound, Forbidden, Conflict, Invalid."""
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "decline", locked.party)
    must_name_side(actor, body.on_behalf_of.side if body.on_behalf_of else None, [Side.CREATOR])
    reason = DeclineReason(body.reason.value)
    step = locked.must(policy.decline(locked.deal, locked.party, reason))
    if step is not None:
        await deals.end(tx, actor, locked, step, reason, "bid.declined", **on_behalf(body.on_behalf_of))
        await say(tx, actor, bid_id, body.note, body.on_behalf_of)
    return await bids.get(tx, actor, bid_id)


async def withdraw(tx: Tx, actor: Actor, bid_id: UUID, body: WithdrawIn) -> Reply:
    """The buyer takes the bid back. Raises NotFound, Forbidden, Conflict, Invalid."""
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "withdraw", locked.party)
    must_name_side(actor, body.on_behalf_of.side if body.on_behalf_of else None, [Side.BUYER])
    step = locked.must(policy.withdraw(locked.deal, locked.party))
    if step is not None:
        await deals.end(
            tx, actor, locked, step, DeclineReason.WITHDRAWN, "bid.withdrawn", **on_behalf(body.on_behalf_of)
        )
        await say(tx, actor, bid_id, body.note, body.on_behalf_of)
    return await bids.get(tx, actor, bid_id)


def on_behalf(given: OnBehalfOf | None) -> dict[str, Any]:
    """What the record says of an operator who steps in; the reason itself is a comment both parties read."""
    return {"on_behalf_of": given.side} if given is not None else {}


async def say(tx: Tx, actor: Actor, bid_id: UUID, note: str | None, given: OnBehalfOf | None = None) -> None:
    """Free text never goes into an event: a note, and an operator's reason, become comments on the bid."""
    for text in (given.reason if given is not None else None, note):
        if text is not None:
            await comments.add(tx, actor, bid_id, text)


async def commit(tx: Tx, actor: Actor, bid_id: UUID, body: CommitIn) -> Reply:
    """The buyer's spend: the bid is Committed, the other live bids on the slot end as slot_sold.

    Raises NotFound, Forbidden, Conflict. Repeating it answers with the same commitment.
    """
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "commit", locked.party)
    step = locked.must(policy.commit(locked.deal, locked.party, body.amount, locked.amount))
    if step is None:
        return await commitments.of_bid(tx, actor, bid_id)
    assert locked.deal.hold is Hold.MINE, "an Accepted bid holds its slot"
    await deals.save_bid(tx, bid_id, locked.now, status=step.to)
    await deals.set_hold_end(tx, locked.slot_id, None)
    line = events.line(actor, "bid.committed", (SubjectType.BID, bid_id), bid_id=bid_id, status=step.to)
    await events.record(tx, line)
    await deals.close_others(tx, locked.slot_id, locked.now, DeclineReason.SLOT_SOLD, but=bid_id)
    await commitments.create(tx, actor, locked)
    return await commitments.of_bid(tx, actor, bid_id)
