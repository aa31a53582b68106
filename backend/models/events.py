"""Events: the append-only record of who did what, when."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from backend.models.base import Base, one_of


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name in DDL."""
        return "xid8"


class SubjectType(StrEnum):
    """What an event is about."""

    USER = "user"
    PROJECT = "project"
    SLOT = "slot"
    SKU = "sku"
    BID = "bid"
    COMMITMENT = "commitment"


class ActorRole(StrEnum):
    """Who acted: a user by role, nobody signed in, or the service itself."""

    CREATOR = "Creator"
    ADVERTISER = "Advertiser"
    MERCHANT = "Merchant"
    OPERATOR = "Operator"
    ANONYMOUS = "Anonymous"
    SYSTEM = "System"


# `data` holds ids and words of closed sets: no blanks, nothing long.
DATA_CLOSED = (
    "jsonb_typeof(data) = 'object' AND NOT jsonb_path_exists(data,"
    """ '$.** ? (@.type() == "string" && !(@ like_regex "^[A-Za-z0-9_./-]{1,64}$"))')"""
)


class Event(Base):
    """One line of the record. It holds ids and closed sets, never names, addresses or free text (I8).

    `status` is the subject's state after a change of state; `xact` is the transaction that wrote the line, by which a
    trigger checks at COMMIT that every change of state has its event.
    """

    __tablename__ = "events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    actor_role: Mapped[str]
    action: Mapped[str]
    subject_type: Mapped[str]
    subject_id: Mapped[UUID]
    bid_id: Mapped[UUID | None] = mapped_column(ForeignKey("bids.id"))
    status: Mapped[str | None]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_id: Mapped[str | None]
    xact: Mapped[str] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))

    __table_args__ = (
        one_of("actor_role", ActorRole),
        one_of("subject_type", SubjectType),
        CheckConstraint(r"action ~ '^[a-z_]+\.[a-z_]+$'", name="action_known"),
        CheckConstraint("request_id ~ '^[A-Za-z0-9._-]{1,128}$'", name="request_id_plain"),
        CheckConstraint(DATA_CLOSED, name="data_closed"),
        Index("ix_events_at", "at", "id"),
        Index("ix_events_subject_id_at", "subject_id", "at", "id"),
        Index("ix_events_actor_id_at", "actor_id", "at", "id"),
        Index("ix_events_bid_id_at", "bid_id", "at", "id"),
        Index("ix_events_action_at", "action", "at", "id"),
        Index("ix_events_subject_type_at", "subject_type", "at", "id"),
        Index("ix_events_actor_role_at", "actor_role", "at", "id"),
        Index("ix_events_request_id", "request_id"),
    )
