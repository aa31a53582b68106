"""Excerpts: what buyers see of a script."""

from __future__ import annotations

from uuid import UUID

from backend.schemas.base import Out


class ExcerptOut(Out):
    """What a slot shows of its scene; all null and without lines where it names none. `page` counts from 1."""

    slot_id: UUID
    scene_id: UUID | None
    number: str | None
    heading: str | None
    page: int | None
    lines: list[str]
