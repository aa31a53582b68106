"""Who is calling, and what each role may call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, select

from backend.core.database import Database, Db
from backend.core.errors import Forbidden, NotSignedIn
from backend.core.statements import Statement
from backend.core.tokens import Claims
from backend.models.users import Role, Session, User


@dataclass(frozen=True, slots=True)
class Actor:
    """The signed-in user of a request."""

    id: UUID
    role: Role
    session_id: UUID | None = None


_WHO = (
    select(User.role)
    .join(Session, Session.user_id == User.id)
    .where(
        User.id == bindparam("p_user"),
        Session.id == bindparam("p_session"),
        Session.ended_at.is_(None),
        User.is_active,
    )
)
_READING = Statement(_WHO)
# Deactivation locks the user FOR UPDATE: it waits for a change under way, and a later one sees it.
_CHANGING = Statement(_WHO.with_for_update(key_share=True, read=True))
_BY_LINK = Statement(select(User.role).where(User.id == bindparam("p_user"), User.is_active))


async def authenticate(db: Db, claims: Claims, *, lock: bool) -> Actor:
    """The actor of a valid token whose session and user still count, judged inside this very connection.

    Raises NotSignedIn otherwise. `lock` keeps the answer true until the transaction ends.
    """
    statement = _CHANGING if lock else _READING
    role = await statement.value(db, p_user=claims.user_id, p_session=claims.session_id)
    if role is None:
        raise NotSignedIn("This session has ended; sign in again.", code="session_ended")
    return Actor(claims.user_id, Role(role), claims.session_id)


class Admissions:
    """Whom the reading door let in a moment ago, so that a burst of reads asks once (S6).

    On this process a change of any user or session empties it before the change is answered; on the others what it
    says is at most `LIFETIME` old. The changing door never asks it.
    """

    LIFETIME = 0.9  # seconds, of the one that S6 allows
    _MOST = 10_000

    def __init__(self, database: Database) -> None:
        self._known: dict[Claims, tuple[float, Actor]] = {}
        self._emptied = 0
        database.watchers.append(self._after)

    async def admit(self, db: Db, claims: Claims) -> Actor:
        """The actor, as `authenticate` finds it or found it a moment ago. Raises NotSignedIn."""
        asked = asyncio.get_running_loop().time()
        known = self._known.get(claims)
        if known is not None and asked - known[0] < self.LIFETIME:
            return known[1]
        emptied = self._emptied
        actor = await authenticate(db, claims, lock=False)
        if emptied == self._emptied:  # else it may have been read before the change
            if len(self._known) >= self._MOST:
                self._known.clear()
            self._known[claims] = (asked, actor)
        return actor

    def _after(self, changed: set[str]) -> None:
        if not changed.isdisjoint(("users", "sessions")):
            self._emptied += 1
            self._known.clear()


async def authenticate_link(db: Db, user_id: UUID) -> Actor:
    """The actor of a signed link. Raises NotSignedIn when the user is not active any more."""
    role = await _BY_LINK.value(db, p_user=user_id)
    if role is None:
        raise NotSignedIn("This link is not valid any more.", code="invalid_link")
    return Actor(user_id, Role(role))


def must_be(actor: Actor, *roles: Role) -> None:
    """Raises Forbidden unless the caller has one of the roles (for calls without an id in their path)."""
    if actor.role not in roles:
        allowed = " or ".join(str(role) for role in roles)
        raise Forbidden(f"This call is for the role {allowed}.", code="wrong_role")
