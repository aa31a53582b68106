"""Every table, so that one import gives the whole metadata (Alembic's env.py asks for it)."""

from backend.models import (
    approvals,
    bids,
    comments,
    commitments,
    events,
    idempotency,
    limits,
    mails,
    matches,
    memos,
    projects,
    scenes,
    security,
    skus,
    slots,
    terms,
    users,
)
from backend.models.base import Base

__all__ = [
    "Base",
    "approvals",
    "bids",
    "comments",
    "commitments",
    "events",
    "idempotency",
    "limits",
    "mails",
    "matches",
    "memos",
    "projects",
    "scenes",
    "security",
    "skus",
    "slots",
    "terms",
    "users",
]
