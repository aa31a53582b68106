"""Slots, who is invited to the private ones, and the table of their states."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Computed, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.core.transitions import Machine, Transition
from backend.models.base import Base, one_of, points_at, scene_has_status, text_length
from backend.models.scenes import SceneStatus


class SlotStatus(StrEnum):
    """The three public states of a slot (deals.md)."""

    AVAILABLE = "Available"
    LOCKED = "Locked"
    COMPLETED = "Completed"


class SlotType(StrEnum):
    """How a product takes part in the scene."""

    BACKGROUND = "Background"
    FEATURED = "Featured"
    HANDS_ON = "Hands-on"
    VERBAL = "Verbal"
    WARDROBE = "Wardrobe"
    SIGNAGE = "Signage"
    PLOT = "Plot"


class Modality(StrEnum):
    """How a slot is sold: many bids and a choice, or first come, first held."""

    AUCTION = "Private Auction"
    RESERVATION = "PG/Reservation"


class Visibility(StrEnum):
    """Who sees a slot: every buyer, or the invited ones."""

    PUBLIC = "Public"
    PRIVATE = "Private"


SLOT_MACHINE = Machine(
    "slot",
    SlotStatus,
    [
        Transition("hold", ("creator", "buyer"), (SlotStatus.AVAILABLE,), SlotStatus.LOCKED),
        Transition("release", ("creator", "buyer", "operator", "system"), (SlotStatus.LOCKED,), SlotStatus.AVAILABLE),
        Transition("complete", ("buyer", "operator", "system"), (SlotStatus.LOCKED,), SlotStatus.COMPLETED),
    ],
)


class Slot(Base):
    """One place in a project's script that can be sold once.

    The hold lives here and nowhere else: `holder_bid_id`, and `hold_expires_at` until that bid is Committed. Foreign
    keys tie it to a bid that must hold (I1, I2) and a completed slot to its completed commitment.
    """

    __tablename__ = "slots"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    creator_id: Mapped[UUID]
    scene_ref: Mapped[str]
    scene_id: Mapped[UUID | None]
    scene_status: Mapped[str | None]  # kept here by the job that reads drafts: lists show it
    suggested_category: Mapped[str | None]  # the IAB id of the suggestion that it was made from
    description: Mapped[str | None]
    type: Mapped[str]
    pricing_floor: Mapped[Decimal]
    modality: Mapped[str]
    visibility: Mapped[str]
    status: Mapped[str]
    constraints: Mapped[list[str]]
    excluded_categories: Mapped[list[str]]
    bidding_closes_at: Mapped[datetime | None]
    genre: Mapped[str | None]  # copied from the project: every list filters by it
    holder_bid_id: Mapped[UUID | None]
    hold_expires_at: Mapped[datetime | None]
    completes_at: Mapped[datetime | None]  # the commitment's confirmBy while Delivered: lists judge by it
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    holds: Mapped[bool] = mapped_column(Computed("true", persisted=True))
    holder_committed: Mapped[bool] = mapped_column(
        Computed("holder_bid_id IS NOT NULL AND hold_expires_at IS NULL", persisted=True)
    )
    completing_bid_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN completes_at IS NOT NULL THEN holder_bid_id END", persisted=True)
    )
    completed_bid_id: Mapped[UUID | None] = mapped_column(
        Computed("CASE WHEN status = 'Completed' THEN holder_bid_id END", persisted=True)
    )
    completed_status: Mapped[str] = mapped_column(Computed("'Completed'::text", persisted=True))

    __table_args__ = (
        points_at("project_id creator_id", "projects", "id creator_id", name="fk_slots_project", deferred=False),
        points_at(
            "holder_bid_id id holds holder_committed",
            "bids",
            "id slot_id must_hold is_committed",
            name="fk_slots_holder",
        ),
        points_at("completing_bid_id completes_at", "commitments", "bid_id confirm_due", name="fk_slots_completing"),
        points_at("completed_bid_id completed_status", "commitments", "bid_id status", name="fk_slots_completed"),
        points_at("scene_id project_id", "scenes", "id project_id", name="fk_slots_scene", deferred=False),
        UniqueConstraint("id", "creator_id"),
        UniqueConstraint("id", "modality"),
        UniqueConstraint("id", "project_id"),
        UniqueConstraint("id", "completes_at"),
        UniqueConstraint("id", "holder_bid_id", "status", name="uq_slots_holder"),
        UniqueConstraint("id", "holder_bid_id", name="uq_slots_id_holder_bid_id"),
        one_of("type", SlotType),
        one_of("scene_status", SceneStatus),
        scene_has_status(),
        text_length("suggested_category", 20),
        one_of("modality", Modality),
        one_of("visibility", Visibility),
        one_of("status", SlotStatus),
        text_length("scene_ref"),
        text_length("description"),
        CheckConstraint("pricing_floor >= 0", name="pricing_floor_not_negative"),
        CheckConstraint("(status = 'Available') = (holder_bid_id IS NULL)", name="held_unless_available"),
        CheckConstraint("hold_expires_at IS NULL OR status = 'Locked'", name="hold_ends_only_when_locked"),
        CheckConstraint(
            "completes_at IS NULL OR (status = 'Locked' AND hold_expires_at IS NULL)",
            name="completes_only_when_committed",
        ),
        CheckConstraint("removed_at IS NULL OR status <> 'Locked'", name="removed_is_not_held"),
        Index("ix_slots_project_id", "project_id"),
        Index("ix_slots_scene_id", "scene_id", postgresql_where=text("scene_id IS NOT NULL")),
        Index(
            "ix_slots_scene_status_created_at",
            "scene_status",
            "created_at",
            "id",
            postgresql_where=text("scene_status IS NOT NULL"),
        ),
        Index("ix_slots_words", text("search_words(scene_ref, description)"), postgresql_using="gin"),
        Index("ix_slots_creator_id_created_at", "creator_id", "created_at", "id"),
        Index("ix_slots_created_at", "created_at", "id", postgresql_where=text("removed_at IS NULL")),
        Index("ix_slots_pricing_floor", "pricing_floor", "id", postgresql_where=text("removed_at IS NULL")),
        Index("ix_slots_genre_created_at", text("lower(genre)"), "created_at", "id"),
        Index(
            "ix_slots_public_genre_created_at",
            text("lower(genre)"),
            "created_at",
            "id",
            postgresql_where=text("visibility = 'Public' AND removed_at IS NULL"),
        ),
        Index("ix_slots_holder_bid_id", "holder_bid_id", postgresql_where=text("holder_bid_id IS NOT NULL")),
        Index("ix_slots_completed_bid_id", "completed_bid_id", postgresql_where=text("completed_bid_id IS NOT NULL")),
        Index("ix_slots_completes_at", "completes_at", postgresql_where=text("completes_at IS NOT NULL")),
        Index(
            "ix_slots_completing_bid_id", "completing_bid_id", postgresql_where=text("completing_bid_id IS NOT NULL")
        ),
        Index("ix_slots_hold_expires_at", "hold_expires_at", postgresql_where=text("hold_expires_at IS NOT NULL")),
    )


class SlotInvitee(Base):
    """A buyer who may see a Private slot."""

    __tablename__ = "slot_invitees"

    slot_id: Mapped[UUID] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    created_at: Mapped[datetime]
