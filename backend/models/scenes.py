"""Scenes: what was read from a draft, and how far the reading is."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, one_of, text_length


class ScriptStatus(StrEnum):
    """Whether a script has been read into scenes."""

    PROCESSING = "processing"
    READY = "ready"
    UNREADABLE = "unreadable"


class Setting(StrEnum):
    """Where a scene plays, as its heading says."""

    INTERIOR = "INT"
    EXTERIOR = "EXT"
    BOTH = "INT/EXT"


class SceneStatus(StrEnum):
    """What the newest draft that could be read did to the scene of a slot or a deal."""

    CURRENT = "current"
    CHANGED = "changed"
    OMITTED = "omitted"


class Reading(Base):
    """The reading of one draft. `leased_until` is set while a worker reads; after it another one may."""

    __tablename__ = "readings"

    project_id: Mapped[UUID] = mapped_column(primary_key=True)
    draft_number: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]
    reason: Mapped[str | None]
    attempts: Mapped[int]
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "draft_number"], ["drafts.project_id", "drafts.number"], name="fk_readings_draft"
        ),
        one_of("status", ScriptStatus),
        text_length("reason"),
        CheckConstraint("(status = 'unreadable') = (reason IS NOT NULL)", name="unreadable_has_reason"),
        CheckConstraint("(status = 'processing') = (finished_at IS NULL)", name="finished_has_time"),
        Index("ix_readings_processing", "created_at", postgresql_where=text("status = 'processing'")),
    )


class SceneRow(Base):
    """One scene of one draft. `passages` are its paragraphs as `[kind, text]`; a scene row never changes."""

    __tablename__ = "scenes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    project_id: Mapped[UUID]
    draft_number: Mapped[int]
    position: Mapped[int]
    number: Mapped[str | None]
    heading: Mapped[str]
    setting: Mapped[str | None]
    location: Mapped[str]
    time_of_day: Mapped[str | None]
    page: Mapped[int]
    eighths: Mapped[int]
    estimated_seconds: Mapped[int]
    characters: Mapped[list[str]]
    excerpt: Mapped[str]
    passages: Mapped[list[Any]] = mapped_column(JSONB)

    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "draft_number"], ["readings.project_id", "readings.draft_number"], name="fk_scenes_reading"
        ),
        UniqueConstraint("project_id", "draft_number", "position"),
        UniqueConstraint("id", "project_id"),
        one_of("setting", Setting),
        text_length("number", 50),
        text_length("heading", 500),
        text_length("location", 500),
        text_length("time_of_day", 500),
        CheckConstraint("char_length(excerpt) BETWEEN 0 AND 1000", name="excerpt_length"),
        CheckConstraint("position >= 1", name="position_from_one"),
        CheckConstraint("page >= 1 AND eighths >= 1 AND estimated_seconds >= 0", name="lengths_positive"),
    )
