"""Notifications: what a person is told by mail, written into the outbox by the change that decides on it.

The row commits or rolls back with the change; a job sends it afterwards (`services.mails`). Whether the person wants
mails is asked when it is sent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, case, cast, exists, func, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from backend.core import clock
from backend.core.database import Tx
from backend.core.ids import new_id
from backend.core.statements import Statement, binds
from backend.models.base import Timestamp
from backend.models.bids import Bid, BidStatus
from backend.models.mails import Mail, MailKind, MailStatus
from backend.models.slots import Slot
from backend.policies import bids as policy
from backend.policies.slots import NOW

_QUEUE = Statement(
    upsert(Mail)
    .values(
        **binds("id", "recipient_id", "kind", "ids", "once"),
        status=MailStatus.QUEUED.value,
        tries=0,
        due_at=bindparam("p_now"),
        created_at=bindparam("p_now"),
    )
    .on_conflict_do_nothing()
)


def queue(tx: Tx, kind: MailKind, recipient_id: UUID, *, once: str | None = None, **ids: UUID) -> None:
    """One mail of this kind to this user, about these ids (`bid_id`, `reset_id`, `verification_id`).

    With `once` a second one of the same kind and words is none.
    """
    _QUEUE.add(
        tx,
        p_id=new_id(),
        p_recipient_id=recipient_id,
        p_kind=kind.value,
        p_ids={name: str(value) for name, value in ids.items()},
        p_once=once,
        p_now=clock.now(),
    )


# A hold about to end: told once for each end that a hold has.

_HOLD: Any = func.concat(cast(Bid.id, Text), "/", cast(func.extract("epoch", Slot.hold_expires_at), Text))
_ENDING = Statement(
    select(
        Bid.id,
        Bid.creator_id,
        Bid.buyer_id,
        (Bid.creator_approved_version.is_(None)).label("creator_acts"),
        case(
            (Bid.status == BidStatus.ACCEPTED.value, True),
            else_=Bid.buyer_approved_version.is_(None),
        ).label("buyer_acts"),
        _HOLD.label("once"),
    )
    .join(Slot, Slot.holder_bid_id == Bid.id)
    .where(
        policy.LIVE_ON_PAPER,
        ~policy.OVERDUE,
        Slot.hold_expires_at > NOW,
        Slot.hold_expires_at <= bindparam("p_soon", type_=Timestamp),
        ~exists().where(
            or_(Mail.recipient_id == Bid.creator_id, Mail.recipient_id == Bid.buyer_id),
            Mail.kind == MailKind.HOLD_ENDING.value,
            Mail.once == _HOLD,
        ),
    )
    .order_by(Slot.hold_expires_at, Bid.id)
    .limit(1000)
)


async def remind_of_holds(tx: Tx) -> None:
    """Tell those whose turn it is (to approve, to commit) of holds that end within `HOLD_REMINDER_BEFORE`."""
    now = clock.now()
    soon = now + timedelta(seconds=tx.settings.hold_reminder_before)
    for row in await _ENDING.rows(tx, p_now=now, p_soon=soon):
        for acts, person in ((row["creator_acts"], row["creator_id"]), (row["buyer_acts"], row["buyer_id"])):
            if acts:
                queue(tx, MailKind.HOLD_ENDING, person, once=row["once"], bid_id=row["id"])
