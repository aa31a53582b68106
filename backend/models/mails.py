"""Mails: the outbox. A row is written by the change that decides on a mail, and sent by a job after COMMIT."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of, text_length


class MailKind(StrEnum):
    """What a mail is about; each has its two templates, text and HTML, under this name."""

    PASSWORD_RESET = "password_reset"  # noqa: S105 a name
    EMAIL_VERIFICATION = "email_verification"
    BID_PLACED = "bid_placed"
    TERMS_CHANGED = "terms_changed"
    BID_APPROVED = "bid_approved"
    HOLD_ENDING = "hold_ending"
    BID_COMMITTED = "bid_committed"
    DELIVERED = "delivered"
    SCENE_FLAGGED = "scene_flagged"


class MailStatus(StrEnum):
    """What became of a mail: dropped when nobody wants it any more, failed when every try did."""

    QUEUED = "Queued"
    SENT = "Sent"
    DROPPED = "Dropped"
    FAILED = "Failed"


class Mail(Base):
    """One mail to one user. It holds ids only: address and words are looked up when it is sent.

    `due_at` is when to try next; whoever tries moves it ahead first, so that two never try at once. `once` names what
    may be said to a user only once.
    """

    __tablename__ = "mails"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # No foreign key: it would lock the recipient after the slot, against the one order of locks; users are kept.
    recipient_id: Mapped[UUID]
    kind: Mapped[str]
    ids: Mapped[dict[str, Any]] = mapped_column(JSONB)
    once: Mapped[str | None]
    status: Mapped[str]
    tries: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("kind", MailKind),
        one_of("status", MailStatus),
        text_length("once", 200),
        CheckConstraint("(status = 'Queued') = (ended_at IS NULL)", name="ended_has_time"),
        CheckConstraint("tries >= 0", name="tries_not_negative"),
        UniqueConstraint("recipient_id", "kind", "once"),
        Index("ix_mails_ended_at", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("ix_mails_due_at", "due_at", "id", postgresql_where=text("status = 'Queued'")),
    )
