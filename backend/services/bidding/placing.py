"""Placing a bid."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from asyncpg import Record
from sqlalchemy import ScalarSelect, and_, bindparam, case, exists, func, insert, select

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Forbidden, NotFound
from backend.core.ids import new_id
from backend.core.money import written_out
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds
from backend.models.base import Timestamp
from backend.models.bids import Bid, BidStatus, Side
from backend.models.events import SubjectType
from backend.models.mails import MailKind
from backend.models.slots import Modality, Slot, SlotStatus
from backend.models.users import BUYERS, Role, User
from backend.policies import bids as policy
from backend.policies import slots as slot_policy
from backend.policies.bids import Offer
from backend.policies.deals import HoldChange, must
from backend.policies.users import Actor
from backend.schemas.bids import BidIn
from backend.services import bids, comments, deals, events, notifications
from backend.services.bidding.terms import write_terms

_LOCK_BUYER = Statement(select(User.id).where(User.id == bindparam("p_actor")).with_for_update(key_share=True))


@lru_cache
def _lock_slot(role: Role) -> Statement:
    return Statement(
        select(Slot.id).where(Slot.id == bindparam("p_slot"), slot_policy.visible(role)).with_for_update(of=Slot)
    )


_MINE_HERE = (Bid.slot_id == Slot.id, Bid.buyer_id == bindparam("p_actor"))


def _my_bid(*clauses: object) -> ScalarSelect[UUID]:
    """The caller's undeclined bid on the slot; the unique index says that there is one at the most."""
    mine = select(Bid.id).where(*_MINE_HERE, Bid.status != BidStatus.DECLINED.value, *clauses)  # type: ignore[arg-type]
    return mine.correlate(Slot).scalar_subquery()


@lru_cache
def _offer(role: Role) -> Statement:
    return Statement(
        select(
            Slot.creator_id,
            Slot.modality,
            Slot.pricing_floor,
            Slot.scene_id,
            Slot.scene_status,
            slot_policy.EFFECTIVE_STATUS.label("status"),
            and_(Slot.holder_bid_id.is_not(None), Slot.hold_expires_at.is_(None)).label("holder_committed"),
            func.coalesce(Slot.bidding_closes_at <= slot_policy.NOW, False).label("bidding_closed"),
            case((slot_policy.hold_overdue, Slot.holder_bid_id)).label("overdue_holder"),
            _my_bid().label("own_bid"),
            _my_bid(policy.OVERDUE).label("own_overdue"),
            exists()
            .where(*_MINE_HERE, Bid.hold_ended_at > bindparam("p_cooled", type_=Timestamp))
            .correlate(Slot)
            .label("cooling_down"),
        ).where(Slot.id == bindparam("p_slot"), slot_policy.visible(role))
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
_BID_COLUMNS = ("id", "slot_id", "creator_id", "buyer_id", "modality", "scene_id", "scene_status", "expires_at")
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
    if actor.role in BUYERS:
        # The count of a buyer's holds is judged under the buyer's lock (user before slot).
        await _LOCK_BUYER.one(tx, p_actor=actor.id)
    if await _lock_slot(actor.role).value(tx, p_slot=slot_id, p_actor=actor.id) is None:
        raise NotFound
    if actor.role not in BUYERS:
        raise Forbidden("Only buyers place bids.", code="wrong_role")
    return await _place(tx, actor, slot_id, body)


async def _place(tx: Tx, actor: Actor, slot_id: UUID, body: BidIn) -> Reply:
    now = clock.now()
    row = await _standing(tx, actor, slot_id, now)
    reservation = row["modality"] == Modality.RESERVATION.value
    offer = Offer(
        slot_status=SlotStatus(row["status"]),
        modality=Modality(row["modality"]),
        holder_committed=row["holder_committed"],
        bidding_closed=row["bidding_closed"],
        floor=row["pricing_floor"],
        has_bid=row["own_bid"] is not None,
        cooling_down=row["cooling_down"],
        # Only reservations count; an auction, where rivals queue for the slot's lock, is spared the question.
        holds=await _HELD_BY_ME.value(tx, p_actor=actor.id, p_now=now) if reservation else 0,
        max_holds=tx.settings.max_holds,
    )
    step = must(policy.place(offer, body.amount), offer.slot_status, ())
    assert step is not None
    bid_id = new_id()
    expires_at = now + timedelta(seconds=tx.settings.bid_expires_in)
    _CREATE.add(
        tx,
        p_id=bid_id,
        p_slot_id=slot_id,
        p_creator_id=row["creator_id"],
        p_buyer_id=actor.id,
        p_modality=row["modality"],
        p_scene_id=row["scene_id"],
        p_scene_status=row["scene_status"],
        p_expires_at=expires_at,
        p_now=now,
    )
    await write_terms(
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
        scene_id=row["scene_id"],
    )
    line = events.line(actor, "bid.placed", (SubjectType.BID, bid_id), bid_id=bid_id, status=step.to, slot_id=slot_id)
    lines = [line]
    if step.hold is HoldChange.TAKE:
        lines += await deals.take_hold(tx, actor, slot_id, bid_id, deals.hold_until(tx, now, expires_at))
    await events.record(tx, *lines)
    notifications.queue(tx, MailKind.BID_PLACED, row["creator_id"], bid_id=bid_id)
    if body.message is not None:
        await comments.add(tx, actor, bid_id, body.message)
    return await bids.get(tx, actor, bid_id)


async def _standing(tx: Tx, actor: Actor, slot_id: UUID, now: datetime) -> Record:
    """The locked slot and the caller's standing on it. Raises NotFound.

    What a new bid can only follow is written as ended first: the caller's former bid that has run out, and on a
    reservation a former holder's. When the placing is refused all the same, that is rolled back: refusals never write.
    """
    cooled = now - timedelta(seconds=tx.settings.hold_cooldown)
    for _ in range(2):
        row = await _offer(actor.role).one(tx, p_slot=slot_id, p_actor=actor.id, p_now=now, p_cooled=cooled)
        if row is None:  # hidden, or its owner left, while this waited for the lock
            raise NotFound
        reservation = row["modality"] == Modality.RESERVATION.value
        ended = {row["own_overdue"], row["overdue_holder"] if reservation else None} - {None}
        if not ended:
            return row
        await deals.write_overdue(tx, slot_id, now, among=ended)
    raise AssertionError("what is written as ended is not overdue any more")
