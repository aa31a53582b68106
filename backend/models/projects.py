"""Projects and the drafts of their scripts."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of, points_at, text_length


class Gender(StrEnum):
    """Whom a project's audience is, by gender."""

    ANY = "any"
    FEMALE = "female"
    MALE = "male"
    NONBINARY = "nonbinary"


class Project(Base):
    """A script with its financing frame. A removed one keeps its rows and leaves every list."""

    __tablename__ = "projects"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    creator_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    genre: Mapped[str | None]
    logline: Mapped[str | None]
    budget_target: Mapped[Decimal]
    production_window: Mapped[str]
    age_start: Mapped[int | None]
    age_end: Mapped[int | None]
    gender: Mapped[str]
    draft_number: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("id", "creator_id"),
        points_at("id draft_number", "drafts", "project_id number", name="fk_projects_current_draft"),
        text_length("title", 200),
        text_length("genre", 100),
        text_length("logline"),
        text_length("production_window"),
        one_of("gender", Gender),
        CheckConstraint("budget_target >= 0", name="budget_target_not_negative"),
        CheckConstraint("age_start BETWEEN 0 AND 120 AND age_end BETWEEN 0 AND 120", name="ages_human"),
        CheckConstraint("age_start <= age_end", name="ages_ordered"),
        Index("ix_projects_creator_id_created_at", "creator_id", "created_at", "id"),
        Index("ix_projects_created_at", "created_at", "id"),
        Index("ix_projects_words", text("search_words(title, '')"), postgresql_using="gin"),
    )


class Draft(Base):
    """One version of a project's script: a file in storage under a random key, never changed."""

    __tablename__ = "drafts"

    project_id: Mapped[UUID] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    storage_key: Mapped[str] = mapped_column(unique=True)
    file_name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("number >= 1", name="number_from_one"),
        CheckConstraint("size >= 1", name="size_positive"),
        CheckConstraint("length(sha256) = 32", name="sha256_length"),
        text_length("file_name", 255),
    )
