"""What a slot shows, and one of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select

from backend.core import clock
from backend.core.database import Db
from backend.core.errors import NotFound
from backend.core.shapes import Reply, Shape
from backend.core.statements import Statement
from backend.models.projects import Project
from backend.models.slots import Slot
from backend.models.users import Role
from backend.policies import slots as policy
from backend.policies.users import Actor
from backend.schemas.slots import SlotOut
from backend.services.projects import DEMOGRAPHICS

WRITTEN = (
    "id",
    "project_id",
    "creator_id",
    "scene_ref",
    "scene_id",
    "description",
    "type",
    "pricing_floor",
    "modality",
    "visibility",
    "constraints",
    "excluded_categories",
    "bidding_closes_at",
)
SHAPE: Shape[None] = Shape(
    SlotOut,
    {
        **{name: getattr(Slot, name) for name in (*WRITTEN, "created_at", "updated_at")},
        "status": policy.EFFECTIVE_STATUS,
        "scene_status": Slot.scene_status,
        "project": {
            "id": Project.id,
            "title": Project.title,
            "genre": Project.genre,
            "production_window": Project.production_window,
            "demographics": DEMOGRAPHICS,
        },
    },
)
ALL: Select[Any] = select(*SHAPE.columns).join(Project, Project.id == Slot.project_id)


@lru_cache
def _find(role: Role) -> Statement:
    return Statement(ALL.where(Slot.id == bindparam("p_id"), policy.visible(role)))


async def get(db: Db, actor: Actor, slot_id: UUID) -> Reply:
    """One slot. Raises NotFound."""
    row = await _find(actor.role).one(db, p_id=slot_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    return SHAPE.reply(row, None)
