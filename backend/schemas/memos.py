"""What is said of a memo to whoever asks."""

from __future__ import annotations

from datetime import datetime

from backend.schemas.base import Out


class VerifyOut(Out):
    """Whether a memo with the asked digest was issued, and when it first was; nothing more."""

    issued: bool
    issued_at: datetime | None
