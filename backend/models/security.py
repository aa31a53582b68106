"""Security events: who got in, who was turned away, and what was taken out."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, LargeBinary, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of
from backend.models.events import DATA_CLOSED, ActorRole, SubjectType


class SecurityEvent(Base):
    """A line of the record that no deal rests on. It is swept after its time; `events` are kept for good (I8).

    Refusals are counted: those of one minute that are alike are one line, `tally` is the digest of what is alike, and
    `count` how many there were. `client` is a keyed digest of the caller's address.

    A line only ever changes by counting on, and is deleted only when it is a week old; a trigger holds both. There is
    no foreign key to users, who are kept: it would lock a user out of the one order of locks.
    """

    __tablename__ = "security_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
    actor_role: Mapped[str]
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID | None]
    client: Mapped[str | None]
    tally: Mapped[bytes | None] = mapped_column(LargeBinary)
    count: Mapped[int | None] = mapped_column(Integer)
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None]

    __table_args__ = (
        one_of("actor_role", ActorRole),
        one_of("subject_type", SubjectType),
        CheckConstraint(r"action ~ '^[a-z_]+\.[a-z_]+$'", name="action_known"),
        CheckConstraint("request_id ~ '^[A-Za-z0-9._-]{1,128}$'", name="request_id_plain"),
        CheckConstraint("client ~ '^[0-9a-f]{16}$'", name="client_digest"),
        CheckConstraint("(count IS NULL) = (tally IS NULL) AND count >= 1", name="counted_has_tally"),
        CheckConstraint("length(tally) = 32", name="tally_length"),
        CheckConstraint(DATA_CLOSED, name="data_closed"),
        UniqueConstraint("tally"),
        Index("ix_security_events_at", "at", "id"),
        Index("ix_security_events_actor_id_at", "actor_id", "at", "id"),
        Index("ix_security_events_actor_role_at", "actor_role", "at", "id"),
        Index("ix_security_events_action_at", "action", "at", "id"),
        Index("ix_security_events_subject_id_at", "subject_id", "at", "id"),
        Index("ix_security_events_subject_type_at", "subject_type", "at", "id"),
        Index("ix_security_events_client_at", "client", "at", "id", postgresql_where=text("client IS NOT NULL")),
        Index("ix_security_events_request_id", "request_id"),
    )
