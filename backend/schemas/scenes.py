"""Scenes of a script."""

from __future__ import annotations

from uuid import UUID

from backend.models.scenes import Setting
from backend.schemas.base import Out


class SceneOut(Out):
    """A scene, with its heading as the script writes it. `eighths` are of a page; `page` counts from 1."""

    id: UUID
    number: str | None
    heading: str
    setting: Setting | None
    location: str
    time_of_day: str | None
    page: int
    eighths: int
    estimated_seconds: int
    characters: list[str]
    excerpt: str
