"""Commitments: the binding spend that follows from a bid both sides approved, and the table of its states."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.transitions import Machine, Transition
from backend.models.base import Base, one_of, points_at, text_length
from backend.models.bids import Side


class CommitmentStatus(StrEnum):
    """From promise to placement."""

    ACTIVE = "Active"
    DELIVERED = "Delivered"
    COMPLETED = "Completed"
    CANCELLED = "Cancelled"


_OPEN = (CommitmentStatus.ACTIVE, CommitmentStatus.DELIVERED)

COMMITMENT_MACHINE = Machine(
    "commitment",
    CommitmentStatus,
    [
        Transition("commit", ("buyer",), (), CommitmentStatus.ACTIVE),
        Transition("deliver", ("creator", "operator"), (CommitmentStatus.ACTIVE,), CommitmentStatus.DELIVERED),
        Transition(
            "confirm", ("buyer", "operator", "system"), (CommitmentStatus.DELIVERED,), CommitmentStatus.COMPLETED
        ),
        Transition("reject", ("buyer", "operator"), (CommitmentStatus.DELIVERED,), CommitmentStatus.ACTIVE),
        Transition("cancel", ("creator", "buyer", "operator"), _OPEN, CommitmentStatus.CANCELLED),
    ],
)


class Commitment(Base):
    """The spend. Amount and version are those approved (I7, a foreign key into terms); a bid has one at the most."""

    __tablename__ = "commitments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bid_id: Mapped[UUID] = mapped_column(unique=True)
    terms_version: Mapped[int]
    slot_id: Mapped[UUID]
    project_id: Mapped[UUID]
    creator_id: Mapped[UUID]
    buyer_id: Mapped[UUID]
    amount: Mapped[Decimal]
    status: Mapped[str]
    deliver_by: Mapped[datetime]
    delivered_at: Mapped[datetime | None]
    evidence_url: Mapped[str | None]
    confirm_by: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    cancel_requested_by: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    uncancelled_bid_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN status <> 'Cancelled' THEN bid_id END", persisted=True), unique=True
    )
    confirm_due: Mapped[datetime | None] = mapped_column(
        Computed("CASE WHEN status = 'Delivered' THEN confirm_by END", persisted=True)
    )
    bid_status: Mapped[str] = mapped_column(Computed("'Committed'::text", persisted=True))
    completed_slot_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN status = 'Completed' THEN slot_id END", persisted=True)
    )
    completed_status: Mapped[str] = mapped_column(Computed("'Completed'::text", persisted=True))

    __table_args__ = (
        points_at(
            "bid_id slot_id creator_id buyer_id",
            "bids",
            "id slot_id creator_id buyer_id",
            name="fk_commitments_bid",
            deferred=False,
        ),
        points_at(
            "bid_id terms_version amount", "terms", "bid_id version amount", name="fk_commitments_terms", deferred=False
        ),
        points_at("slot_id project_id", "slots", "id project_id", name="fk_commitments_slot", deferred=False),
        points_at(
            "uncancelled_bid_id bid_status terms_version",
            "bids",
            "id status terms_version",
            name="fk_commitments_committed_bid",
        ),
        points_at("slot_id confirm_due", "slots", "id completes_at", name="fk_commitments_completing_slot"),
        points_at(
            "completed_slot_id bid_id completed_status",
            "slots",
            "id holder_bid_id status",
            name="fk_commitments_completed_slot",
        ),
        UniqueConstraint("bid_id", "status"),
        UniqueConstraint("bid_id", "confirm_due"),
        one_of("status", CommitmentStatus),
        one_of("cancel_requested_by", Side),
        text_length("evidence_url", 2048),
        CheckConstraint("amount > 0", name="amount_positive"),
        CheckConstraint("(status = 'Completed') = (completed_at IS NOT NULL)", name="completed_has_time"),
        CheckConstraint("(status = 'Cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_has_time"),
        CheckConstraint(
            "status IN ('Active', 'Cancelled') OR (delivered_at IS NOT NULL AND confirm_by IS NOT NULL)",
            name="delivered_has_times",
        ),
        CheckConstraint(
            "status <> 'Active' OR num_nonnulls(delivered_at, confirm_by) = 0", name="active_is_undelivered"
        ),
        CheckConstraint(
            "cancel_requested_by IS NULL OR status IN ('Active', 'Delivered')", name="request_only_while_open"
        ),
        Index("ix_commitments_slot_id", "slot_id"),
        Index("ix_commitments_project_id", "project_id"),
        Index("ix_commitments_buyer_id_created_at", "buyer_id", "created_at", "id"),
        Index("ix_commitments_creator_id_created_at", "creator_id", "created_at", "id"),
        Index("ix_commitments_created_at", "created_at", "id"),
        Index("ix_commitments_status_created_at", "status", "created_at", "id"),
        Index("ix_commitments_confirm_by", "confirm_by", postgresql_where=text("status = 'Delivered'")),
    )
