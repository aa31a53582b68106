"""SKUs: a merchant's products, offered for placement."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, Money, text_length


class Sku(Base):
    """A product. A removed one keeps its row for the bids that name it."""

    __tablename__ = "skus"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    merchant_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    price: Mapped[Decimal]
    margin: Mapped[Decimal] = mapped_column(Numeric(5, 2))
    tags: Mapped[list[str]]
    description: Mapped[str | None]
    image_url: Mapped[str | None]
    external_id: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("id", "merchant_id"),
        text_length("title", 200),
        text_length("description"),
        text_length("image_url", 2048),
        text_length("external_id", 200),
        CheckConstraint("price >= 0", name="price_not_negative"),
        CheckConstraint("margin BETWEEN 0 AND 100", name="margin_is_percentage"),
        Index(
            "uq_skus_merchant_id_external_id",
            "merchant_id",
            "external_id",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("ix_skus_merchant_id_created_at", "merchant_id", "created_at", "id"),
        Index(
            "ix_skus_words",
            text("sku_document(title, tags, description)"),
            postgresql_using="gin",
            postgresql_where=text("removed_at IS NULL"),
        ),
    )


# The rows of one import, in a temporary table of its transaction: of its own metadata, for no migration makes it.
STAGED = Table(
    "staged_skus",
    MetaData(),
    Column("row", Integer),
    Column("id", Uuid),
    Column("external_id", Text),
    Column("title", Text),
    Column("price", Money),
    Column("margin", Numeric(5, 2)),
    Column("tags", Text),  # joined by semicolons
    Column("description", Text),
    Column("image_url", Text),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)
