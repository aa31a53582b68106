"""Leaving: an account is deactivated and loses its name and address; its part in others' deals stays readable."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, case, delete, exists, literal_column, or_, select, update

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Conflict
from backend.core.shapes import IfMatch, Reply
from backend.core.statements import Statement
from backend.models.bids import Bid
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.events import SubjectType
from backend.models.idempotency import IdempotencyKey
from backend.models.identities import Identity
from backend.models.slots import Slot, SlotInvitee, SlotStatus
from backend.models.users import EmailVerification, PasswordReset, Role, User
from backend.policies import bids as bid_policy
from backend.policies import commitments as commitment_policy
from backend.policies import slots as slot_policy
from backend.policies.users import Actor
from backend.services import deals, events, sessions, users
from backend.services.sessions import SignedInDoor

_USER: Any = bindparam("p_user")
_LOCK = Statement(select(User.id).where(User.id == _USER).with_for_update())
_FREE_SLOTS = Statement(
    select(Slot.id).where(
        Slot.creator_id == _USER,
        slot_policy.PRESENT,
        slot_policy.EFFECTIVE_STATUS.in_([SlotStatus.AVAILABLE.value]),
    )
)
_LOCK_SLOTS = Statement(select(Slot.id).where(Slot.creator_id == _USER).order_by(Slot.id).with_for_update())
_LIVE_DEALS = Statement(
    select(
        or_(
            exists()
            .where(Slot.id == Bid.slot_id, bid_policy.LIVE_ON_PAPER, ~bid_policy.OVERDUE)
            .where(or_(Bid.buyer_id == _USER, Bid.creator_id == _USER)),
            exists()
            .where(or_(Commitment.buyer_id == _USER, Commitment.creator_id == _USER))
            .where(
                commitment_policy.EFFECTIVE_STATUS.in_(
                    [CommitmentStatus.ACTIVE.value, CommitmentStatus.DELIVERED.value]
                )
            ),
        )
    )
)
_ANONYMISE = Statement(
    update(User)
    .where(User.id == _USER)
    .values(
        email=bindparam("p_email"),
        email_verified_at=None,
        name=bindparam("p_name"),
        password_hash="!",  # noqa: S106 no hash: nothing fits
        min_integration_fee=None,
        eligibility_rules=case((User.role == Role.MERCHANT.value, literal_column("'{}'::text[]"))),
        is_active=False,
        mail_notifications=False,
        updated_at=bindparam("p_now"),
        deleted_at=bindparam("p_now"),
    )
)
_LEFTOVERS = (
    Statement(delete(PasswordReset).where(PasswordReset.user_id == _USER)),
    Statement(delete(Identity).where(Identity.user_id == _USER)),
    Statement(delete(EmailVerification).where(EmailVerification.user_id == _USER)),
    Statement(delete(SlotInvitee).where(SlotInvitee.user_id == _USER)),
    Statement(delete(IdempotencyKey).where(IdempotencyKey.user_id == _USER)),
)


async def leave(door: SignedInDoor, if_match: IfMatch) -> Reply:
    """Deactivate and anonymise the caller. Raises Conflict `live_deals`, StaleVersion."""

    async def work(tx: Tx) -> Reply:
        # The strongest lock first: it waits for every change of this user under way, and later ones see the end.
        await _LOCK.one(tx, p_user=door.claims.user_id)
        actor = await door.actor(tx)
        if if_match.given:
            if_match.must_allow((await users.me(tx, actor)).etag)
        await _leave(tx, actor)
        return Reply(b"")

    return await door.change(work)


async def _leave(tx: Tx, actor: Actor) -> None:
    # A bid is placed under its slot's lock: with all of them in hand none can appear between look and act.
    await _LOCK_SLOTS.rows(tx, p_user=actor.id)
    now = clock.now()
    if await _LIVE_DEALS.value(tx, p_user=actor.id, p_now=now):
        raise Conflict("End or complete your live deals first.", code="live_deals")
    free: list[UUID] = [row["id"] for row in await _FREE_SLOTS.rows(tx, p_user=actor.id, p_now=now)]
    await deals.remove_slots(tx, actor, slot_ids=free)
    await sessions.end_all(tx, actor, actor.id, "left")
    for statement in _LEFTOVERS:
        await statement.one(tx, p_user=actor.id)
    await _ANONYMISE.one(
        tx,
        p_user=actor.id,
        p_email=f"{actor.id}@deleted.invalid",
        p_name=f"Former user {actor.id.hex[-12:]}",
        p_now=now,
    )
    await events.record(tx, events.line(actor, "user.deleted", (SubjectType.USER, actor.id)))
