"""Commitments."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from backend.models.bids import BidStatus, Side
from backend.models.commitments import CommitmentStatus
from backend.schemas.base import In, Out, Text, Url
from backend.schemas.bids import OnBehalfOf


class DeliverIn(In):
    """The placement is delivered: a link to it, or a note, or both."""

    note: Text | None = None
    evidence_url: Url | None = None
    on_behalf_of: OnBehalfOf | None = None


class ConfirmIn(In):
    """The buyer confirms; a body is needed only from an operator."""

    on_behalf_of: OnBehalfOf | None = None


class ReasonIn(In):
    """Why a delivery is rejected, or a commitment cancelled."""

    reason: Text
    on_behalf_of: OnBehalfOf | None = None


class CommitmentOut(Out):
    """The binding spend of one deal."""

    id: UUID
    bid_id: UUID
    bid_status: BidStatus
    slot_id: UUID
    project_id: UUID
    counterparty_id: UUID
    amount: Decimal
    status: CommitmentStatus
    deliver_by: datetime
    delivered_at: datetime | None
    evidence_url: str | None
    confirm_by: datetime | None
    completed_at: datetime | None
    cancel_requested_by: Side | None
    allowed_actions: list[str]
    created_at: datetime
