"""One's own sessions: where one is signed in, and ending any of it."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from sqlalchemy import bindparam, select

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import NotFound
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply, Shape
from backend.core.statements import Statement
from backend.models.users import RefreshToken, Session
from backend.policies.users import Actor
from backend.schemas.users import OwnSessionOut
from backend.services import sessions

_OWN: Shape[Actor] = Shape(
    OwnSessionOut,
    {"id": Session.id, "created_at": Session.created_at}
    | {"renewed_at": RefreshToken.created_at, "expires_at": RefreshToken.expires_at},
    derived={"current": lambda row, actor: row["id"] == actor.session_id},
)
_MINE = (Session.user_id == bindparam("p_user"), Session.ended_at.is_(None))
_NEWEST = Sort("-createdAt", Session.created_at, Session.id, descending=True)
_FIND_MINE = Statement(select(Session.id).where(*_MINE, Session.id == bindparam("p_session")))


@lru_cache
def _list(*, after: bool) -> Statement:
    """Every session has one refresh token that was not used yet; the session lasts as long as that."""
    statement = select(*_OWN.columns).join(RefreshToken, RefreshToken.session_id == Session.id)
    counts = (*_MINE, RefreshToken.used_at.is_(None), RefreshToken.expires_at > bindparam("p_now"))
    return Statement(_NEWEST.apply(statement.where(*counts), after=after))


async def find_all(db: Db, actor: Actor, page: Page) -> Reply:
    """The caller's own sessions that still count, newest first."""
    more = {"p_user": actor.id, "p_now": clock.now(), **_NEWEST.binds(page)}
    rows = await _list(after=page.cursor is not None).rows(db, **more)
    return reply_page(rows, page, _NEWEST, _OWN, actor)


async def remove(tx: Tx, actor: Actor, session_id: UUID) -> Reply:
    """End one of the caller's own sessions, the one that asks too. Raises NotFound for any other."""
    if await _FIND_MINE.value(tx, p_user=actor.id, p_session=session_id) is None:
        raise NotFound
    await sessions.end(tx, actor, session_id, "ended_by_owner")
    return Reply(b"")
