"""Approvals: one side's yes to one version of the terms."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of, points_at
from backend.models.bids import Side


class Approval(Base):
    """Who said yes, to which version, for which side, and when. Rows never change (a trigger)."""

    __tablename__ = "approvals"

    bid_id: Mapped[UUID] = mapped_column(primary_key=True)
    terms_version: Mapped[int] = mapped_column(primary_key=True)
    side: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]

    __table_args__ = (
        points_at("bid_id terms_version", "terms", "bid_id version", name="fk_approvals_terms", deferred=False),
        one_of("side", Side),
    )
