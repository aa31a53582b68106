"""Events: lines of the record."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from backend.models.events import ActorRole, SubjectType
from backend.schemas.base import Out


class EventOut(Out):
    """Who did what, when. `data` holds ids and closed sets, and the state that the event led to as `status`."""

    id: UUID
    at: datetime
    actor_id: UUID | None
    actor_role: ActorRole
    action: str
    subject_type: SubjectType
    subject_id: UUID
    data: dict[str, Any]
    request_id: str | None
