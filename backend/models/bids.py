"""Bids: a buyer's offer for a slot, its states and the table of its transitions (deals.md)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.transitions import Machine, Transition
from backend.models.base import Base, one_of, points_at, scene_has_status
from backend.models.scenes import SceneStatus


class BidStatus(StrEnum):
    """The five public states of a bid."""

    PENDING = "Pending"
    AWAITING = "AwaitingFinalApproval"
    ACCEPTED = "Accepted"
    COMMITTED = "Committed"
    DECLINED = "Declined"


class Side(StrEnum):
    """The two sides of a deal."""

    CREATOR = "creator"
    BUYER = "buyer"


class DeclineReason(StrEnum):
    """Why a bid is Declined: the creator's reasons first, then what else can end a bid."""

    PRICE = "price"
    FIT = "fit"
    CATEGORY = "category"
    TIMING = "timing"
    BRAND_SAFETY = "brand_safety"
    OTHER = "other"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    HOLD_EXPIRED = "hold_expired"
    SLOT_SOLD = "slot_sold"
    SLOT_REMOVED = "slot_removed"
    PARTY_INACTIVE = "party_inactive"
    CANCELLED = "cancelled"


CREATOR_REASONS = (
    DeclineReason.PRICE,
    DeclineReason.FIT,
    DeclineReason.CATEGORY,
    DeclineReason.TIMING,
    DeclineReason.BRAND_SAFETY,
    DeclineReason.OTHER,
)

_OPEN = (BidStatus.PENDING, BidStatus.AWAITING)
LIVE = (*_OPEN, BidStatus.ACCEPTED)

BID_MACHINE = Machine(
    "bid",
    BidStatus,
    [
        Transition("place", ("buyer",), (), BidStatus.PENDING),
        Transition("terms", ("creator", "buyer"), _OPEN, BidStatus.PENDING),
        Transition("approve", ("creator", "buyer"), (BidStatus.PENDING,), BidStatus.AWAITING),
        Transition("approve", ("creator", "buyer"), (BidStatus.AWAITING,), BidStatus.ACCEPTED),
        Transition("decline", ("creator", "operator"), LIVE, BidStatus.DECLINED),
        Transition("withdraw", ("buyer", "operator"), LIVE, BidStatus.DECLINED),
        Transition("expire", ("system",), LIVE, BidStatus.DECLINED),
        Transition("close", ("system",), LIVE, BidStatus.DECLINED),
        Transition("commit", ("buyer",), (BidStatus.ACCEPTED,), BidStatus.COMMITTED),
        Transition("cancel", ("creator", "buyer", "operator"), (BidStatus.COMMITTED,), BidStatus.DECLINED),
    ],
)

_MUST_HOLD = (
    "status IN ('Accepted', 'Committed') OR (status <> 'Declined'"
    " AND (modality = 'PG/Reservation' OR creator_approved_version IS NOT NULL))"
)


class Bid(Base):
    """A buyer's offer. What it offers is its current row in `terms`; whether it holds is `slots.holder_bid_id`.

    `scene_id` is where the scene of the deal stands now; the terms keep the one that they were written about.

    The stored generated columns exist so that foreign keys can say the cross-row rules of deals.md: a bid that must
    hold is named by its slot (I1, I2), each approved version has its row in approvals (I3), a Committed bid has its
    commitment (I7).
    """

    __tablename__ = "bids"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    slot_id: Mapped[UUID]
    creator_id: Mapped[UUID]
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    modality: Mapped[str]
    status: Mapped[str]
    terms_version: Mapped[int]
    scene_id: Mapped[UUID | None] = mapped_column(ForeignKey("scenes.id"))
    scene_status: Mapped[str | None]
    creator_approved_version: Mapped[int | None]
    buyer_approved_version: Mapped[int | None]
    decline_reason: Mapped[str | None]
    expires_at: Mapped[datetime]
    hold_ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    must_hold: Mapped[bool] = mapped_column(Computed(_MUST_HOLD, persisted=True))
    held_slot_id: Mapped[UUID | None] = mapped_column(
        Computed(f"CASE WHEN {_MUST_HOLD} THEN slot_id END", persisted=True)
    )
    undeclined_modality: Mapped[str | None] = mapped_column(
        Computed("CASE WHEN status <> 'Declined' THEN modality END", persisted=True)
    )
    committed_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN status = 'Committed' THEN id END", persisted=True)
    )
    is_committed: Mapped[bool] = mapped_column(Computed("status = 'Committed'", persisted=True))
    creator_side: Mapped[str] = mapped_column(Computed("'creator'::text", persisted=True))
    buyer_side: Mapped[str] = mapped_column(Computed("'buyer'::text", persisted=True))

    __table_args__ = (
        points_at("slot_id creator_id", "slots", "id creator_id", name="fk_bids_slot", deferred=False),
        points_at("slot_id undeclined_modality", "slots", "id modality", name="fk_bids_modality"),
        points_at("held_slot_id id", "slots", "id holder_bid_id", name="fk_bids_hold"),
        points_at("id terms_version", "terms", "bid_id version", name="fk_bids_current_terms"),
        points_at(
            "id creator_approved_version creator_side",
            "approvals",
            "bid_id terms_version side",
            name="fk_bids_creator_approval",
        ),
        points_at(
            "id buyer_approved_version buyer_side",
            "approvals",
            "bid_id terms_version side",
            name="fk_bids_buyer_approval",
        ),
        points_at("committed_id", "commitments", "uncancelled_bid_id", name="fk_bids_commitment"),
        UniqueConstraint("id", "slot_id", "must_hold", "is_committed", name="uq_bids_must_hold"),
        UniqueConstraint("id", "buyer_id"),
        UniqueConstraint("id", "status", "terms_version"),
        UniqueConstraint("id", "slot_id", "creator_id", "buyer_id", name="uq_bids_parties"),
        one_of("status", BidStatus),
        one_of("scene_status", SceneStatus),
        scene_has_status(),
        one_of("decline_reason", DeclineReason),
        CheckConstraint("(status = 'Declined') = (decline_reason IS NOT NULL)", name="declined_has_reason"),
        CheckConstraint("hold_ended_at IS NULL OR status = 'Declined'", name="hold_ended_when_declined"),
        CheckConstraint(
            "COALESCE(creator_approved_version, terms_version) = terms_version"
            " AND COALESCE(buyer_approved_version, terms_version) = terms_version",
            name="approvals_are_of_current_terms",
        ),
        CheckConstraint(
            "status = 'Declined' OR num_nonnulls(creator_approved_version, buyer_approved_version)"
            " = CASE status WHEN 'Pending' THEN 0 WHEN 'AwaitingFinalApproval' THEN 1 ELSE 2 END",
            name="status_counts_approvals",
        ),
        Index(
            "uq_bids_buyer_id_slot_id_undeclined",
            "buyer_id",
            "slot_id",
            unique=True,
            postgresql_where=text("status <> 'Declined'"),
        ),
        Index("ix_bids_committed_id", "committed_id", postgresql_where=text("committed_id IS NOT NULL")),
        Index("ix_bids_scene_id", "scene_id", postgresql_where=text("scene_id IS NOT NULL")),
        Index("ix_bids_slot_id_updated_at", "slot_id", "updated_at", "id"),
        Index("ix_bids_buyer_id_updated_at", "buyer_id", "updated_at", "id"),
        Index("ix_bids_creator_id_updated_at", "creator_id", "updated_at", "id"),
        Index("ix_bids_updated_at", "updated_at", "id"),
        Index("ix_bids_status_updated_at", "status", "updated_at", "id"),
        Index(
            "ix_bids_expires_at",
            "expires_at",
            postgresql_where=text("status IN ('Pending', 'AwaitingFinalApproval', 'Accepted')"),
        ),
    )
