"""The tables as ORM entities with relationships, as programs written the ordinary way have them (usual, Litestar)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, FetchedValue, ForeignKey, ForeignKeyConstraint, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The declarative base."""

    type_annotation_map = {
        str: Text(),
        UUID: Uuid(),
        datetime: DateTime(timezone=True),
        Decimal: Numeric(14, 2),
        list[str]: ARRAY(Text()),
        dict[str, Any]: JSONB(),
    }


class User(Base):
    """An account."""

    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    is_active: Mapped[bool]


class Session(Base):
    """One sign-in."""

    __tablename__ = "sessions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    ended_at: Mapped[datetime | None]
    user: Mapped[User] = relationship()


class Project(Base):
    """A script."""

    __tablename__ = "projects"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    genre: Mapped[str | None]
    production_window: Mapped[str]
    age_start: Mapped[int | None]
    age_end: Mapped[int | None]
    gender: Mapped[str]

    @property
    def demographics(self) -> Project:
        """The audience, as the answer nests it."""
        return self


class Slot(Base):
    """One place to sell."""

    __tablename__ = "slots"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"))
    creator_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    scene_ref: Mapped[str]
    scene_id: Mapped[UUID | None]
    scene_status: Mapped[str | None]
    description: Mapped[str | None]
    type: Mapped[str]
    pricing_floor: Mapped[Decimal]
    modality: Mapped[str]
    visibility: Mapped[str]
    status: Mapped[str]
    constraints: Mapped[list[str]]
    excluded_categories: Mapped[list[str]]
    bidding_closes_at: Mapped[datetime | None]
    genre: Mapped[str | None]
    holder_bid_id: Mapped[UUID | None]
    hold_expires_at: Mapped[datetime | None]
    completes_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    project: Mapped[Project] = relationship()
    creator: Mapped[User] = relationship()


class SlotInvitee(Base):
    """A buyer who may see a Private slot."""

    __tablename__ = "slot_invitees"
    slot_id: Mapped[UUID] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)


class Sku(Base):
    """A merchant's product."""

    __tablename__ = "skus"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    price: Mapped[Decimal]
    image_url: Mapped[str | None]


class TermsSku(Base):
    """A SKU that the terms name."""

    __tablename__ = "terms_skus"
    bid_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sku_id: Mapped[UUID] = mapped_column(ForeignKey("skus.id"), primary_key=True)
    position: Mapped[int]
    sku: Mapped[Sku] = relationship()
    __table_args__ = (ForeignKeyConstraint(["bid_id", "version"], ["terms.bid_id", "terms.version"]),)


class Terms(Base):
    """One version of what a bid offers."""

    __tablename__ = "terms"
    bid_id: Mapped[UUID] = mapped_column(ForeignKey("bids.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    side: Mapped[str]
    author_id: Mapped[UUID]
    floor: Mapped[Decimal]
    amount: Mapped[Decimal]
    amount_terms: Mapped[str]
    objective: Mapped[str]
    created_at: Mapped[datetime]
    skus: Mapped[list[TermsSku]] = relationship(order_by=TermsSku.position)


class Comment(Base):
    """One message on a bid."""

    __tablename__ = "comments"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    bid_id: Mapped[UUID] = mapped_column(ForeignKey("bids.id"))
    author_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    text: Mapped[str]
    created_at: Mapped[datetime]
    author: Mapped[User] = relationship()


class Approval(Base):
    """One side's yes."""

    __tablename__ = "approvals"
    bid_id: Mapped[UUID] = mapped_column(ForeignKey("bids.id"), primary_key=True)
    terms_version: Mapped[int] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    created_at: Mapped[datetime]


class Bid(Base):
    """A buyer's offer."""

    __tablename__ = "bids"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    slot_id: Mapped[UUID] = mapped_column(ForeignKey("slots.id"))
    creator_id: Mapped[UUID]
    buyer_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    modality: Mapped[str]
    status: Mapped[str]
    terms_version: Mapped[int]
    creator_approved_version: Mapped[int | None]
    buyer_approved_version: Mapped[int | None]
    scene_id: Mapped[UUID | None]
    scene_status: Mapped[str | None]
    decline_reason: Mapped[str | None]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    slot: Mapped[Slot] = relationship()
    buyer: Mapped[User] = relationship()
    terms: Mapped[list[Terms]] = relationship(order_by=Terms.version)
    comments: Mapped[list[Comment]] = relationship(order_by=Comment.created_at)


class Event(Base):
    """One line of the record."""

    __tablename__ = "events"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[str]
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    bid_id: Mapped[UUID | None]
    status: Mapped[str | None]
    data: Mapped[dict[str, Any]]
    xact: Mapped[str] = mapped_column(FetchedValue())
