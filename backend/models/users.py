"""Users, their sessions and refresh tokens, their way back in, and the proof of their e-mail address."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of, text_length


class Role(StrEnum):
    """The one role of an account (product.md)."""

    CREATOR = "Creator"
    ADVERTISER = "Advertiser"
    MERCHANT = "Merchant"
    OPERATOR = "Operator"


BUYERS = (Role.ADVERTISER, Role.MERCHANT)


class User(Base):
    """An account. `deleted_at` marks one whose owner left: its name and address are gone, its history stays.

    `email_verified_at` is when the owner first showed that mail to the address reaches them.
    """

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_verified_at: Mapped[datetime | None]
    name: Mapped[str]
    role: Mapped[str]
    password_hash: Mapped[str]
    min_integration_fee: Mapped[Decimal | None]
    eligibility_rules: Mapped[list[str] | None]
    allow_matching: Mapped[bool] = mapped_column(server_default=text("false"))
    is_active: Mapped[bool]
    mail_notifications: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("role", Role),
        text_length("name"),
        text_length("email", 320),
        CheckConstraint("min_integration_fee >= 0", name="min_integration_fee_not_negative"),
        CheckConstraint(
            "(role = 'Merchant') = (eligibility_rules IS NOT NULL)"
            " AND (role = 'Merchant' OR min_integration_fee IS NULL)",
            name="profile_is_merchants",
        ),
        CheckConstraint("role = 'Merchant' OR NOT allow_matching", name="matching_is_merchants"),
        CheckConstraint("deleted_at IS NULL OR NOT is_active", name="deleted_is_inactive"),
        Index("uq_users_email_lower", text("lower(email)"), unique=True),
        Index("ix_users_role_created_at", "role", "created_at", "id"),
        Index("ix_users_created_at", "created_at", "id"),
        Index("ix_users_is_active_created_at", "is_active", "created_at", "id"),
        Index("ix_users_words", text("search_words(name, email)"), postgresql_using="gin"),
        Index("ix_users_name_words", text("search_words(name, '')"), postgresql_using="gin"),
    )


class Session(Base):
    """One sign-in. Its access tokens count while `ended_at` is null."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class RefreshToken(Base):
    """One refresh token of a session's family, stored as a hash only."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class PasswordReset(Base):
    """A way back in, by mail. A user has one at the most, the newest; using it removes it.

    The token is stored as a hash only; it is derived from the id and the signing secret when the mail is written.
    """

    __tablename__ = "password_resets"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("length(token_hash) = 32", name="token_hash_length"),)


class EmailVerification(Base):
    """A link that proves an address, by mail. A user has one at the most, the newest; using it removes it.

    The token is stored as a hash only; it is derived from the id and the signing secret when the mail is written.
    """

    __tablename__ = "email_verifications"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("length(token_hash) = 32", name="token_hash_length"),)
