"""Fulfilling a commitment: deliver, confirm, reject, cancel. Each locks, decides, saves (`services/deals`)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.core.database import Tx
from backend.core.shapes import Reply
from backend.models.bids import DeclineReason, Side
from backend.models.commitments import COMMITMENT_MACHINE, CommitmentStatus
from backend.models.events import SubjectType
from backend.models.mails import MailKind
from backend.policies import commitments as policy
from backend.policies.deals import must_act, must_name_side
from backend.policies.users import Actor
from backend.schemas.bids import OnASide
from backend.schemas.commitments import ConfirmIn, DeliverIn, ReasonIn
from backend.services import comments, commitments, deals, events, notifications
from backend.services.deals import LockedCommitment


async def _lock(
    tx: Tx, actor: Actor, commitment_id: UUID, action: str, body: OnASide, *sides: Side
) -> LockedCommitment:
    """The caller's commitment, locked. Raises NotFound; Forbidden for who may never do this; Invalid."""
    locked = await deals.lock_commitment(tx, actor, commitment_id)
    must_act(COMMITMENT_MACHINE, action, locked.party)
    must_name_side(actor, body.side, sides)
    return locked


def _line(actor: Actor, locked: LockedCommitment, action: str, status: str, **data: Any) -> dict[str, Any]:
    subject = (SubjectType.COMMITMENT, locked.commitment_id)
    return events.line(actor, action, subject, bid_id=locked.bid_id, status=status, **data)


async def deliver(tx: Tx, actor: Actor, commitment_id: UUID, body: DeliverIn) -> Reply:
    """The creator says that the placement is there. Raises NotFound, Forbidden, Conflict, Invalid."""
    locked = await _lock(tx, actor, commitment_id, "deliver", body, Side.CREATOR)
    step = locked.must(policy.deliver(locked.placement, locked.party))
    if step is not None:
        confirm_by = locked.now + timedelta(seconds=tx.settings.confirm_within)
        await deals.save_commitment(
            tx,
            commitment_id,
            locked.now,
            status=step.to,
            delivered_at=locked.now,
            confirm_by=confirm_by,
            evidence_url=body.evidence_url,
        )
        await deals.set_completion(tx, locked.slot_id, confirm_by)
        await events.record(tx, _line(actor, locked, "commitment.delivered", step.to, **body.on_record))
        notifications.queue(tx, MailKind.DELIVERED, locked.buyer_id, bid_id=locked.bid_id)
        await comments.say(tx, actor, locked.bid_id, body.operators_reason, body.note)
    return await commitments.get(tx, actor, commitment_id)


async def confirm(tx: Tx, actor: Actor, commitment_id: UUID, body: ConfirmIn) -> Reply:
    """The buyer agrees: commitment and slot are Completed. Raises NotFound, Forbidden, Conflict, Invalid."""
    locked = await _lock(tx, actor, commitment_id, "confirm", body, Side.BUYER)
    step = locked.must(policy.confirm(locked.placement, locked.party))
    if step is not None:
        lines = await deals.complete(tx, actor, commitment_id, locked.bid_id, locked.slot_id, locked.now)
        lines[0]["p_data"] |= body.on_record
        await events.record(tx, *lines)
        await comments.say(tx, actor, locked.bid_id, body.operators_reason)
    return await commitments.get(tx, actor, commitment_id)


async def reject(tx: Tx, actor: Actor, commitment_id: UUID, body: ReasonIn) -> Reply:
    """The buyer does not agree; the commitment is Active again. Raises NotFound, Forbidden, Conflict, Invalid."""
    locked = await _lock(tx, actor, commitment_id, "reject", body, Side.BUYER)
    step = locked.must(policy.reject(locked.placement, locked.party))
    assert step is not None, "a second rejection is refused"
    await deals.save_commitment(tx, commitment_id, locked.now, status=step.to, delivered_at=None, confirm_by=None)
    await deals.set_completion(tx, locked.slot_id, None)
    await events.record(tx, _line(actor, locked, "commitment.rejected", step.to, **body.on_record))
    await comments.say(tx, actor, locked.bid_id, body.operators_reason, body.reason)
    return await commitments.get(tx, actor, commitment_id)


async def cancel(tx: Tx, actor: Actor, commitment_id: UUID, body: ReasonIn) -> Reply:
    """Ask the other side to cancel, or cancel: with its consent, alone after deliverBy, or as an operator.

    Cancelled means: the bid is Declined(cancelled) and the slot Available.
    Raises NotFound, Forbidden, Conflict, Invalid.
    """
    locked = await _lock(tx, actor, commitment_id, "cancel", body, Side.CREATOR, Side.BUYER)
    step = locked.must(policy.cancel(locked.placement, locked.party))
    if step is not None:
        if step.to == CommitmentStatus.CANCELLED.value:
            await _cancel(tx, actor, locked, body)
        else:
            await deals.save_commitment(tx, commitment_id, locked.now, cancel_requested_by=locked.party.value)
            await events.record(tx, _line(actor, locked, "commitment.cancel_requested", step.to))
        await comments.say(tx, actor, locked.bid_id, body.operators_reason, body.reason)
    return await commitments.get(tx, actor, commitment_id)


async def _cancel(tx: Tx, actor: Actor, locked: LockedCommitment, body: ReasonIn) -> None:
    cancelled = CommitmentStatus.CANCELLED.value
    await deals.save_commitment(tx, locked.commitment_id, locked.now, status=cancelled, cancelled_at=locked.now)
    lines = [_line(actor, locked, "commitment.cancelled", cancelled, **body.on_record)]
    lines += await deals.end_bid(
        tx, actor, locked.bid_id, DeclineReason.CANCELLED, "bid.cancelled", locked.now, held=False
    )
    lines += await deals.release(tx, actor, locked.slot_id, locked.bid_id)
    await events.record(tx, *lines)
