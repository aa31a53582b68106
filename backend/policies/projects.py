"""Who may see and change a project."""

from __future__ import annotations

from uuid import UUID

from asyncpg import Record
from sqlalchemy import ColumnElement, and_, bindparam, exists

from backend.core.errors import Forbidden
from backend.models.projects import Project
from backend.models.slots import Slot
from backend.models.users import Role
from backend.policies import slots
from backend.policies.users import Actor

PRESENT = Project.removed_at.is_(None)


def visible(role: Role) -> ColumnElement[bool]:
    """Creator: own; Operator: all; buyer: those with a slot they may see. Bind: `p_actor`."""
    match role:
        case Role.CREATOR:
            return and_(PRESENT, Project.creator_id == bindparam("p_actor"))
        case Role.OPERATOR:
            return PRESENT
        case _:
            return and_(PRESENT, exists().where(Slot.project_id == Project.id, slots.visible(role)))


def must_own(actor: Actor, row: Record) -> None:
    """Raises Forbidden unless the caller is the creator of the seen row (it has `creator_id`)."""
    owner: UUID = row["creator_id"]
    if owner != actor.id:
        raise Forbidden("Only the creator may do this.", code="not_owner")
