"""Views: who has read what of a script, from the lines that `events.viewed` wrote."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, select

from backend.core.database import Db
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply, Shape
from backend.core.statements import Statement
from backend.models.events import Event
from backend.models.users import User
from backend.policies.users import Actor
from backend.schemas.views import Paper, ViewOut
from backend.services import events, scenes

_ACTIONS = {events.viewing(paper): paper for paper in Paper}


def _said(name: str) -> Any:
    """What the event says under a name, or None."""
    return lambda row, _: row["_data"].get(name)


def _paper(row: Record, _: None) -> Paper:
    return _ACTIONS[row["_action"]]


_VIEW: Shape[None] = Shape(
    ViewOut,
    {
        "id": Event.id,
        "at": Event.at,
        "reader_id": Event.actor_id,
        "reader_name": User.name,
        "reader_role": Event.actor_role,
        "request_id": Event.request_id,
    },
    derived={
        "what": _paper,
        "draft_number": _said("draft"),
        "slot_id": _said("slot_id"),
        "bid_id": _said("bid_id"),
    },
    extra={"action": Event.action, "data": Event.data},
)
_NEWEST = Sort("-at", Event.at, Event.id, descending=True)
_LIST = {
    after: Statement(
        _NEWEST.apply(
            select(*_VIEW.columns)
            .join(User, User.id == Event.actor_id)
            .where(Event.subject_id == bindparam("p_project"), Event.action.in_(list(_ACTIONS))),
            after=after,
        )
    )
    for after in (False, True)
}


async def find_all(db: Db, actor: Actor, project_id: UUID, page: Page) -> Reply:
    """Every view of a project's script and of what was shown of it, newest first. Raises NotFound, Forbidden."""
    await scenes.must_read(db, actor, project_id)
    rows = await _LIST[page.cursor is not None].rows(db, p_project=project_id, **_NEWEST.binds(page))
    return reply_page(rows, page, _NEWEST, _VIEW, None)
