"""Rate limits: what is full again is forgotten."""

from __future__ import annotations

from backend.core.database import Database
from backend.services import limits


async def forget_full(database: Database) -> int:
    """Remove the buckets that are full again. Answers how many rows."""
    return await database.change(limits.forget)
