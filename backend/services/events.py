"""The append-only record: one line for what happened, written in the transaction that made it happen (I8)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from pydantic.alias_generators import to_camel
from sqlalchemy import bindparam, insert, select

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import NotFound
from backend.core.ids import new_event_id
from backend.core.logging import request_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply, Shape
from backend.core.statements import Statement, binds
from backend.models.bids import Bid
from backend.models.events import ActorRole, Event, SubjectType
from backend.models.users import Role
from backend.policies import bids as policy
from backend.policies.users import Actor
from backend.schemas.events import EventOut
from backend.schemas.views import Paper

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
        "p_id": new_event_id(),
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
    """Write the lines, in the transaction that makes them true."""
    await _WRITE.add_all(tx, lines)


def viewing(paper: Paper) -> str:
    """The action of seeing words of a script."""
    return f"project.{paper}_viewed"


async def viewed(tx: Tx, actor: Actor, paper: Paper, project_id: UUID, draft: int, **about: UUID) -> UUID:
    """The caller sees a paper of this draft; `about` names its `slot_id` and `bid_id`. Answers the id of the line.

    It is committed before the paper leaves: a view that cannot be written is none (decision 109).
    """
    seen = line(actor, viewing(paper), (SubjectType.PROJECT, project_id), draft=draft)
    # Beside the draft, and not as the line's own bid: a deal's history does not tell one party what the other read.
    seen["p_data"] |= {name: str(each) for name, each in about.items()}
    await record(tx, seen)
    view_id: UUID = seen["p_id"]
    return view_id


# Reading.


def _data(row: Record, _: Actor) -> dict[str, Any]:
    status = {"status": row["_status"]} if row["_status"] is not None else {}
    return status | {to_camel(key): value for key, value in row["_data"].items()}


def _request_id(row: Record, reader: Actor) -> str | None:
    """Only operators see the request behind another's line: it could tie a rival's call to what it caused here."""
    return row["_request_id"] if reader.role is Role.OPERATOR or row["actorId"] == reader.id else None


EVENT: Shape[Actor] = Shape(
    EventOut,
    {
        name: getattr(Event, name)
        for name in ("id", "at", "actor_id", "actor_role", "action", "subject_type", "subject_id")
    },
    derived={"data": _data, "request_id": _request_id},
    extra={"status": Event.status, "data": Event.data, "request_id": Event.request_id},
)
_OLDEST = Sort("at", Event.at, Event.id, descending=False)
_HISTORY = {
    after: Statement(_OLDEST.apply(select(*EVENT.columns).where(Event.bid_id == bindparam("p_bid")), after=after))
    for after in (False, True)
}


@lru_cache
def _visible(role: Role) -> Statement:
    return Statement(select(Bid.id).where(Bid.id == bindparam("p_bid"), policy.visible(role)))


async def of_bid(db: Db, actor: Actor, bid_id: UUID, page: Page) -> Reply:
    """The deal's history, oldest first: the bid, its hold on the slot, its commitment. Raises NotFound."""
    if await _visible(actor.role).value(db, p_bid=bid_id, p_actor=actor.id) is None:
        raise NotFound
    rows = await _HISTORY[page.cursor is not None].rows(db, p_bid=bid_id, **_OLDEST.binds(page))
    return reply_page(rows, page, _OLDEST, EVENT, actor)
