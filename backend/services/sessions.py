"""Sessions: signing up and in, renewing, signing out. A session is the family of its refresh tokens.

Each refresh token is used once and replaced. A used one that comes back within `REUSE_GRACE` is refused and nothing
more: two tabs, or an answer that got lost. One that comes back later was copied: the whole session ends (RFC 9700).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar
from unicodedata import normalize
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, func, insert, select, update

from backend.core import clock
from backend.core.config import Settings
from backend.core.database import Db, Tx
from backend.core.errors import NotSignedIn
from backend.core.ids import new_id
from backend.core.passwords import check_password, hash_password, must_be_uncommon
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement
from backend.core.tokens import Claims, hash_secret, make_access_token, make_secret
from backend.models.events import ActorRole, SubjectType
from backend.models.users import RefreshToken, Role, Session, User
from backend.policies.users import Actor
from backend.schemas.users import Login, RefreshIn, Signup
from backend.services import security, users, verifications
from backend.services.users import NewUser

T = TypeVar("T")

REUSE_GRACE = timedelta(seconds=10)


class Door(Protocol):
    """The way in for services that hash a password between two transactions."""

    settings: Settings
    secret: str

    @property
    def client(self) -> str:
        """Where the call comes from, as the record may hold it."""

    async def look(self, work: Callable[[Db], Awaitable[T]]) -> T:
        """Read on a connection in autocommit."""

    async def change(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Change in one transaction, committed when this returns."""


class SignedInDoor(Door, Protocol):
    """The same for a signed-in caller."""

    claims: Claims

    async def actor(self, db: Db) -> Actor:
        """Who calls, judged on this connection."""


_BY_EMAIL = Statement(
    select(User.id, User.role, User.password_hash, User.is_active).where(
        func.lower(User.email) == func.lower(bindparam("p_email"))
    )
)
_UPGRADE_HASH = Statement(
    update(User)
    .where(User.id == bindparam("p_user"), User.password_hash == bindparam("p_old"))
    .values(password_hash=bindparam("p_new"))
)
_OPEN = Statement(
    insert(Session).values(id=bindparam("p_session"), user_id=bindparam("p_user"), created_at=bindparam("p_now"))
)
_ADD_TOKEN = Statement(
    insert(RefreshToken).values(
        token_hash=bindparam("p_hash"),
        session_id=bindparam("p_session"),
        created_at=bindparam("p_now"),
        expires_at=bindparam("p_expires"),
    )
)


async def signup(door: Door, body: Signup) -> Reply:
    """A new account, signed in; a link to prove its address is mailed. Raises `email_taken`, `common_password`."""
    must_be_uncommon(body.password, body.email, body.name)
    digest = await hash_password(body.password)
    new = NewUser(body.email, body.name, Role(body.role.value))

    async def work(tx: Tx) -> Reply:
        user_id = await users.create(tx, new, digest, ActorRole.ANONYMOUS)
        await verifications.offer(tx, user_id, door.secret)
        return await open_session(tx, door, Actor(user_id, new.role))

    return await door.change(work)


async def login(door: Door, body: Login) -> Reply:
    """A new session. Raises NotSignedIn, the same for a wrong password, an unknown address and an inactive account."""
    actor = await _recognise(door, body.email, body.password)
    return await door.change(lambda tx: open_session(tx, door, actor))


async def login_form(door: Door, username: str, password: str) -> Reply:
    """The same for the OAuth2 password form, so that Swagger UI's Authorize works."""
    actor = await _recognise(door, username, password)

    async def work(tx: Tx) -> Reply:
        token, _ = await _start(tx, door, actor)
        body = {"access_token": token, "token_type": "bearer", "expires_in": door.settings.jwt_expires_in}
        return Reply(encode(body))

    return await door.change(work)


async def find_by_email(db: Db, email: str) -> Record | None:
    """The account of an address, in any letter case: `id`, `role`, `password_hash`, `is_active`."""
    return await _BY_EMAIL.one(db, p_email=normalize("NFC", email.strip().replace("\x00", "")))


async def _recognise(door: Door, email: str, password: str) -> Actor:
    """Who has this address and password. The hash is computed between transactions, never inside one."""
    found = await door.look(lambda db: find_by_email(db, email))
    digest = found["password_hash"] if found is not None and found["is_active"] else None
    valid, upgraded = await check_password(password, digest)
    if found is None or not valid:
        about = found["id"] if found is not None else None
        raise NotSignedIn("The e-mail address or the password is wrong.", code="wrong_credentials", about=about)
    if upgraded is not None:
        kept = found

        async def work(tx: Tx) -> None:
            await _UPGRADE_HASH.one(tx, p_user=kept["id"], p_old=kept["password_hash"], p_new=upgraded)

        await door.change(work)
    return Actor(found["id"], Role(found["role"]))


async def _start(tx: Tx, door: Door, actor: Actor) -> tuple[str, str]:
    """A new session's access token and refresh token."""
    now = clock.now()
    session_id = new_id()
    _OPEN.add(tx, p_session=session_id, p_user=actor.id, p_now=now)
    await security.record(tx, _line(actor, "session.opened", session_id, door.client))
    return _pair(tx, door, Claims(actor.id, session_id), now, begun=now)


def _pair(tx: Tx, door: Door, claims: Claims, now: datetime, *, begun: datetime) -> tuple[str, str]:
    """An access token and the next refresh token of a session."""
    refresh, digest = make_secret()
    idle = now + timedelta(seconds=tx.settings.refresh_expires_in)
    expires = min(idle, begun + timedelta(seconds=tx.settings.session_expires_in))
    _ADD_TOKEN.add(tx, p_hash=digest, p_session=claims.session_id, p_now=now, p_expires=expires)
    return make_access_token(claims, door.secret, now, tx.settings.jwt_expires_in), refresh


async def open_session(tx: Tx, door: Door, actor: Actor) -> Reply:
    """A new session for who has proven who they are, by whatever means."""
    return await _answer(tx, actor.id, await _start(tx, door, actor))


async def _answer(tx: Tx, user_id: UUID, pair: tuple[str, str]) -> Reply:
    token, refresh = pair
    body = {
        "token": token,
        "refreshToken": refresh,
        "expiresIn": tx.settings.jwt_expires_in,
        "user": await users.account(tx, user_id),
    }
    return Reply(encode(body))


# Renewing and signing out.

# The token's own row is locked: of many uses at once the first one writes `used_at`, the others wait and read it.
_LOCK_TOKEN = Statement(
    select(RefreshToken.session_id, RefreshToken.used_at, RefreshToken.expires_at)
    .where(RefreshToken.token_hash == bindparam("p_hash"))
    .with_for_update()
)
_SESSION = Statement(
    select(Session.user_id, Session.created_at, Session.ended_at, User.role, User.is_active)
    .join(User, User.id == Session.user_id)
    .where(Session.id == bindparam("p_session"))
)
_USE = Statement(
    update(RefreshToken).where(RefreshToken.token_hash == bindparam("p_hash")).values(used_at=bindparam("p_now"))
)
_END = Statement(
    update(Session)
    .where(Session.id == bindparam("p_session"), Session.ended_at.is_(None))
    .values(ended_at=bindparam("p_now"))
    .returning(Session.id)
)
_END_OTHERS = Statement(
    update(Session)
    .where(
        Session.user_id == bindparam("p_user"),
        Session.ended_at.is_(None),
        Session.id.is_distinct_from(bindparam("p_but", type_=Session.id.type)),
    )
    .values(ended_at=bindparam("p_now"))
    .returning(Session.id)
)


async def refresh(door: Door, body: RefreshIn) -> Reply:
    """A new pair for an unused refresh token. Raises NotSignedIn.

    The end of a session whose token was copied is committed, and only then refused.
    """
    answer = await door.change(lambda tx: _refresh(tx, door, hash_secret(body.refresh_token)))
    if isinstance(answer, NotSignedIn):
        raise answer
    return answer


async def _refresh(tx: Tx, door: Door, digest: bytes) -> Reply | NotSignedIn:
    token = await _LOCK_TOKEN.one(tx, p_hash=digest)
    now = clock.now()
    if token is None:
        return _unknown()
    session = await _SESSION.one(tx, p_session=token["session_id"])
    assert session is not None
    if session["ended_at"] is not None or not session["is_active"]:
        return NotSignedIn("This session has ended; sign in again.", code="session_ended")
    actor = Actor(session["user_id"], Role(session["role"]), token["session_id"])
    if token["used_at"] is not None:
        if now >= token["used_at"] + REUSE_GRACE:
            await end(tx, actor, token["session_id"], "reuse", door.client)
        return NotSignedIn("This refresh token has been used already.", code="refresh_token_used", about=actor.id)
    if now >= token["expires_at"]:
        return NotSignedIn("This refresh token has expired; sign in again.", code="token_expired")
    await _USE.one(tx, p_hash=digest, p_now=now)
    await security.record(tx, _line(actor, "session.refreshed", token["session_id"], door.client))
    claims = Claims(actor.id, token["session_id"])
    return await _answer(tx, actor.id, _pair(tx, door, claims, now, begun=session["created_at"]))


def _unknown() -> NotSignedIn:
    return NotSignedIn("This refresh token is not valid.", code="invalid_token")


async def logout(door: Door, body: RefreshIn) -> Reply:
    """The session of this refresh token ends, used or not; doing it again is the same. Raises NotSignedIn."""

    async def work(tx: Tx) -> Reply:
        token = await _LOCK_TOKEN.one(tx, p_hash=hash_secret(body.refresh_token))
        if token is None:
            raise _unknown()
        session = await _SESSION.one(tx, p_session=token["session_id"])
        assert session is not None
        actor = Actor(session["user_id"], Role(session["role"]))
        await end(tx, actor, token["session_id"], "logout", door.client)
        return Reply(b"")

    return await door.change(work)


async def end(tx: Tx, actor: Actor, session_id: UUID, reason: str, client: str | None = None) -> None:
    """End one session, once. `reason` is a word of a closed set: logout, reuse, ended_by_owner."""
    if await _END.one(tx, p_session=session_id, p_now=clock.now()) is not None:
        await security.record(tx, _line(actor, "session.ended", session_id, client, reason=reason))


def _line(actor: Actor, action: str, session_id: UUID, client: str | None, **more: str) -> dict[str, Any]:
    return security.line(actor, action, (SubjectType.USER, actor.id), client=client, session_id=session_id, **more)


_SIGNED_IN = Statement(select(Session.user_id).where(Session.ended_at.is_(None)).distinct())


async def signed_in(db: Db) -> list[UUID]:
    """Everyone with a session that has not ended."""
    return [row["user_id"] for row in await _SIGNED_IN.rows(db)]


async def end_all(tx: Tx, by: Actor | ActorRole, user_id: UUID, reason: str, *, but: UUID | None = None) -> int:
    """End every session of a user, but perhaps one. Their tokens are refused from the next request. Answers how many.

    `reason` is a word of a closed set: password_changed, password_reset, deactivated, left, ended_by_operator.
    """
    ended = await _END_OTHERS.rows(tx, p_user=user_id, p_but=but, p_now=clock.now())
    subject = (SubjectType.USER, user_id)
    lines = [security.line(by, "session.ended", subject, session_id=row["id"], reason=reason) for row in ended]
    await security.record(tx, *lines)
    return len(lines)
