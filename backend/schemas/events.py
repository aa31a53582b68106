"""Events: lines of the record."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import StringConstraints

from backend.models.events import ActorRole, SubjectType
from backend.schemas.base import Out

ClientDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,128}$")]


class EventOut(Out):
    """Who did what, when. `data` holds ids and closed sets, and the state that the event led to as `status`.

    `subjectId` is null when nobody we know was meant, as by a sign-in under an unknown address.
    """

    id: UUID
    at: datetime
    actor_id: UUID | None
    actor_role: ActorRole
    action: str
    subject_type: SubjectType
    subject_id: UUID | None
    data: dict[str, Any]
    request_id: str | None
