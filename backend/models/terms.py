"""Terms: the immutable versions of what a bid offers, and the SKUs each names."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of, points_at, text_length
from backend.models.bids import Side


class Terms(Base):
    """One version. Rows never change (I4, a trigger); `floor` is the slot's at the time of writing (a trigger)."""

    __tablename__ = "terms"

    bid_id: Mapped[UUID] = mapped_column(ForeignKey("bids.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    side: Mapped[str]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    floor: Mapped[Decimal]
    amount: Mapped[Decimal]
    amount_terms: Mapped[str]
    objective: Mapped[str]
    scene_id: Mapped[UUID | None] = mapped_column(ForeignKey("scenes.id"))
    created_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("bid_id", "version", "amount"),
        Index("ix_terms_scene_id", "scene_id", postgresql_where=text("scene_id IS NOT NULL")),
        one_of("side", Side),
        CheckConstraint("version >= 1", name="version_from_one"),
        CheckConstraint("amount >= floor", name="amount_not_below_floor"),
        CheckConstraint("amount > 0", name="amount_positive"),
        text_length("amount_terms"),
        text_length("objective"),
    )


class TermsSku(Base):
    """A SKU that one version of the terms names; it is the buyer's own."""

    __tablename__ = "terms_skus"

    bid_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    sku_id: Mapped[UUID] = mapped_column(primary_key=True)
    buyer_id: Mapped[UUID]
    position: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(["bid_id", "version"], ["terms.bid_id", "terms.version"], name="fk_terms_skus_terms"),
        points_at("bid_id buyer_id", "bids", "id buyer_id", name="fk_terms_skus_buyer", deferred=False),
        points_at("sku_id buyer_id", "skus", "id merchant_id", name="fk_terms_skus_sku", deferred=False),
        Index("ix_terms_skus_sku_id", "sku_id"),
    )
