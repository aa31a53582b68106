"""Comments: the messages on a bid."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, text_length


class Comment(Base):
    """One message. Rows never change (a trigger)."""

    __tablename__ = "comments"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    bid_id: Mapped[UUID] = mapped_column(ForeignKey("bids.id"))
    author_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    text: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (text_length("text"), Index("ix_comments_bid_id_created_at", "bid_id", "created_at", "id"))
