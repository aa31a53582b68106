"""Views: who read what of a script."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from backend.models.users import Role
from backend.schemas.base import Out


class Paper(StrEnum):
    """What shows words of a script."""

    SCRIPT = "script"
    SCENES = "scenes"
    SUGGESTIONS = "suggestions"
    COMPARISON = "comparison"
    EXCERPT = "excerpt"
    EXCERPT_PDF = "excerpt_pdf"
    MEMO = "memo"


class ViewOut(Out):
    """One view. An excerpt names its slot, as a PDF or in a memo its bid; `id` and `requestId` stand on the PDF."""

    id: UUID
    at: datetime
    reader_id: UUID
    reader_name: str
    reader_role: Role
    what: Paper
    draft_number: int
    slot_id: UUID | None
    bid_id: UUID | None
    request_id: str | None
