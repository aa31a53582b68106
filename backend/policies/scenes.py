"""Who may read the scenes of a script: its owner and operators, nobody else."""

from __future__ import annotations

from asyncpg import Record

from backend.core.errors import Forbidden
from backend.models.users import Role
from backend.policies.users import Actor


def must_read_script(actor: Actor, row: Record) -> None:
    """Raises Forbidden for a buyer who sees the project (the row has `creator_id`): a script is never theirs."""
    if actor.role is not Role.OPERATOR and row["creator_id"] != actor.id:
        raise Forbidden("Only the creator reads the script.", code="not_owner")
