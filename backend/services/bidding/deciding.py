"""Deciding on a bid: approve, decline, withdraw, commit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert

from backend.core.database import Tx
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds
from backend.models.approvals import Approval
from backend.models.bids import BID_MACHINE, BidStatus, DeclineReason, Side
from backend.models.events import SubjectType
from backend.models.mails import MailKind
from backend.policies import bids as policy
from backend.policies.bids import Hold
from backend.policies.deals import HoldChange, must_act, must_name_side
from backend.policies.users import Actor
from backend.schemas.bids import ApproveIn, CommitIn, DeclineIn, WithdrawIn
from backend.services import bids, comments, commitments, deals, events, memos, notifications
from backend.services.deals import Locked

_APPROVAL_COLUMNS = ("bid_id", "terms_version", "side", "user_id", "created_at")
_ADD_APPROVAL = Statement(insert(Approval).values(**binds(*_APPROVAL_COLUMNS)))


async def approve(tx: Tx, actor: Actor, bid_id: UUID, body: ApproveIn) -> Reply:
    """One side's yes; the second makes the bid Accepted. Raises NotFound, Forbidden, Conflict."""
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "approve", locked.party)
    step = locked.must(policy.approve(locked.deal, locked.party, body.terms_version))
    if step is not None:
        side = policy.side_of(locked.party)
        columns: dict[str, Any] = {f"{side.value}_approved_version": locked.deal.terms_version}
        lines = [_approval_line(actor, locked, side, step.to)]
        if step.hold is HoldChange.TAKE:
            if locked.overdue_holder is not None:
                await deals.write_overdue(tx, locked.slot_id, locked.now, among=[locked.overdue_holder])
            until = deals.hold_until(tx, locked.now, locked.expires_at)
            lines += await deals.take_hold(tx, actor, locked.slot_id, bid_id, until)
        if step.to == BidStatus.ACCEPTED.value:
            deadline = locked.now + timedelta(seconds=tx.settings.commit_within)
            await deals.set_hold_end(tx, locked.slot_id, deadline)
            columns["expires_at"] = max(locked.expires_at, deadline)
        await deals.save_bid(tx, bid_id, locked.now, status=step.to, **columns)
        _save_approval(tx, actor, locked, side)
        if step.to == BidStatus.ACCEPTED.value:
            await memos.issue(tx, bid_id)
        await events.record(tx, *lines)
        notifications.queue(tx, MailKind.BID_APPROVED, locked.other_id, bid_id=bid_id)
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


def _save_approval(tx: Tx, actor: Actor, locked: Locked, side: Side) -> None:
    _ADD_APPROVAL.add(
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
    must_name_side(actor, body.side, [Side.CREATOR])
    reason = DeclineReason(body.reason.value)
    step = locked.must(policy.decline(locked.deal, locked.party, reason))
    if step is not None:
        await deals.end(tx, actor, locked, step, reason, "bid.declined", **body.on_record)
        await comments.say(tx, actor, bid_id, body.operators_reason, body.note)
    return await bids.get(tx, actor, bid_id)


async def withdraw(tx: Tx, actor: Actor, bid_id: UUID, body: WithdrawIn) -> Reply:
    """The buyer takes the bid back. Raises NotFound, Forbidden, Conflict, Invalid."""
    locked = await deals.lock(tx, actor, bid_id)
    must_act(BID_MACHINE, "withdraw", locked.party)
    must_name_side(actor, body.side, [Side.BUYER])
    step = locked.must(policy.withdraw(locked.deal, locked.party))
    if step is not None:
        await deals.end(tx, actor, locked, step, DeclineReason.WITHDRAWN, "bid.withdrawn", **body.on_record)
        await comments.say(tx, actor, bid_id, body.operators_reason, body.note)
    return await bids.get(tx, actor, bid_id)


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
    await events.record(tx, line, *await deals.follow_scene(tx, actor, locked))
    await deals.close_others(tx, locked.slot_id, locked.now, DeclineReason.SLOT_SOLD)
    await commitments.create(tx, actor, locked)
    notifications.queue(tx, MailKind.BID_COMMITTED, locked.creator_id, bid_id=bid_id)
    return await commitments.of_bid(tx, actor, bid_id)
