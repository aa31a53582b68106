"""Rate limits that all processes share: one bucket a row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base


class RateLimit(Base):
    """A token bucket: the hash of what it limits, and the instant at which it is full again (core.limits).

    The table is UNLOGGED: a crash of PostgreSQL forgives, and no limit costs a write to disk.
    """

    __tablename__ = "rate_limits"

    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    tat: Mapped[datetime]

    __table_args__ = (Index("ix_rate_limits_tat", "tat"), {"prefixes": ["UNLOGGED"]})
