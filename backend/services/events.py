"""The append-only record: one line for what happened, written in the transaction that made it happen (I8)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import insert

from backend.core import clock
from backend.core.database import Tx
from backend.core.ids import new_id
from backend.core.logging import request_id
from backend.core.statements import Statement, binds
from backend.models.events import ActorRole, Event, SubjectType
from backend.policies.users import Actor

_COLUMNS = (
    "id",
    "at",
    "actor_id",
    "actor_role",
    "action",
    "subject_type",
    "subject_id",
    "bid_id",
    "status",
    "data",
    "request_id",
)
_WRITE = Statement(insert(Event).values(**binds(*_COLUMNS)))


def line(
    actor: Actor | ActorRole,
    action: str,
    subject: tuple[SubjectType, UUID],
    *,
    bid_id: UUID | None = None,
    status: str | None = None,
    **data: Any,
) -> dict[str, Any]:
    """One line of the record, ready to be written.

    `actor` is who did it, or a role without a person (System, Anonymous). `data` holds ids and closed sets only: never
    names, addresses or free text.
    """
    person = actor if isinstance(actor, Actor) else None
    return {
        "p_id": new_id(),
        "p_at": clock.now(),
        "p_actor_id": person.id if person else None,
        "p_actor_role": (person.role if person else actor).value,  # type: ignore[union-attr]
        "p_action": action,
        "p_subject_type": subject[0].value,
        "p_subject_id": subject[1],
        "p_bid_id": bid_id,
        "p_status": status,
        "p_data": {key: _plain(value) for key, value in data.items()},
        "p_request_id": request_id(),
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | list) else str(value)


async def record(tx: Tx, *lines: dict[str, Any]) -> None:
    """Write the lines, in one round trip."""
    if len(lines) == 1:
        await _WRITE.one(tx, **lines[0])
    else:
        await _WRITE.many(tx, lines)
