"""Comments."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from backend.schemas.base import In, Out, Text


class CommentIn(In):
    """A message."""

    text: Text


class CommentOut(Out):
    """A message on a bid."""

    id: UUID
    author_id: UUID
    author_name: str
    text: str
    timestamp: datetime
