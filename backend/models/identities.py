"""Identities: who a user is at another service that vouches for them, and the sign-ins that are on their way there."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of, text_length
from backend.models.users import Role


class Provider(StrEnum):
    """Who vouches for an identity."""

    GOOGLE = "google"
    GITHUB = "github"


class Identity(Base):
    """A user as a provider knows them: by a `subject` that never changes and is never given to another (decision 0089).

    A user has one at each provider at the most.
    """

    __tablename__ = "identities"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    provider: Mapped[str]
    subject: Mapped[str]
    created_at: Mapped[datetime]

    __table_args__ = (
        one_of("provider", Provider),
        text_length("subject", 255),
        UniqueConstraint("provider", "subject"),
        UniqueConstraint("user_id", "provider"),
    )


class SignIn(Base):
    """A sign-in on its way: started in a browser, back in it once, taken up by a frontend once (decision 0088).

    State, browser and ticket are stored as hashes. `challenge` is the frontend's, `code` the provider's: null when
    it said no. What the provider is asked besides is derived from the id (`services.identities`).
    """

    __tablename__ = "sign_ins"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider: Mapped[str]
    state_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    challenge: Mapped[str]
    role: Mapped[str | None]
    redirect_uri: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    returned_at: Mapped[datetime | None]
    ticket_hash: Mapped[bytes | None] = mapped_column(LargeBinary, unique=True)
    code: Mapped[str | None]

    __table_args__ = (
        one_of("provider", Provider),
        one_of("role", Role),
        text_length("challenge", 43),
        text_length("redirect_uri", 2048),
        text_length("code", 2048),
        CheckConstraint("role <> 'Operator'", name="role_not_operator"),
        CheckConstraint(
            "length(state_hash) = 32 AND length(browser_hash) = 32 AND length(ticket_hash) = 32", name="hashes_length"
        ),
        CheckConstraint(
            "(returned_at IS NULL) = (ticket_hash IS NULL) AND (returned_at IS NOT NULL OR code IS NULL)",
            name="ticket_when_returned",
        ),
    )
