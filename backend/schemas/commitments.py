"""Commitments."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

from pydantic import ConfigDict, model_validator

from backend.models.bids import BidStatus, Side
from backend.models.commitments import CommitmentStatus
from backend.schemas.base import Out, Text, Url
from backend.schemas.bids import OnASide


class DeliverIn(OnASide):
    """The placement is delivered: a link to it, or a note, or both."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [name], "properties": {name: {"type": "string"}}} for name in ("note", "evidenceUrl")
            ]
        }
    )

    note: Text | None = None
    evidence_url: Url | None = None

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if self.note is None and self.evidence_url is None:
            raise ValueError("give a note or an evidenceUrl")
        return self


class ConfirmIn(OnASide):
    """The buyer confirms; a body is needed only from an operator."""


class ReasonIn(OnASide):
    """Why a delivery is rejected, or a commitment cancelled."""

    reason: Text


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
