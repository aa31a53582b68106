"""Drafts of a script, and one against the other."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from backend.models.scenes import ScriptStatus
from backend.schemas.base import Out


class DraftOut(Out):
    """One version of the script; the last one is current. `sha256` is of the file, in hexadecimal."""

    number: int
    file_name: str
    media_type: str
    size: int
    sha256: str
    script_status: ScriptStatus
    scene_count: int
    created_at: datetime


class SceneChange(StrEnum):
    """What became of a scene."""

    KEPT = "kept"
    MOVED = "moved"
    CHANGED = "changed"
    NEW = "new"
    OMITTED = "omitted"


class DraftScene(Out):
    """A scene in one of the two drafts, in short."""

    id: UUID
    number: str | None
    heading: str
    page: int


class SceneDiff(Out):
    """A scene before and after. `similarity` is the share of neighbouring words in common, 0–1."""

    change: SceneChange
    before: DraftScene | None
    after: DraftScene | None
    similarity: float
