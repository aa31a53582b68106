"""Users: signing up and in, one's own profile, the directory of buyers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol, TypeVar
from uuid import UUID

import asyncpg
from asyncpg import Record
from sqlalchemy import bindparam, func, insert, select, update

from backend.core import clock
from backend.core.config import Settings
from backend.core.database import Db, Tx, broken_constraint
from backend.core.errors import Conflict, NotSignedIn
from backend.core.ids import new_id
from backend.core.paging import Page, Sort, contains, reply_page
from backend.core.passwords import check_password, hash_password
from backend.core.shapes import IfMatch, Reply, Shape, encode
from backend.core.statements import Statement, binds, prefixed
from backend.core.tokens import Claims, make_access_token, make_secret
from backend.models.events import ActorRole, SubjectType
from backend.models.users import BUYERS, RefreshToken, Role, Session, User
from backend.policies.users import Actor, must_be
from backend.schemas.users import BuyerOut, Login, ProfilePatch, Signup, UserOut
from backend.services import events

T = TypeVar("T")


class Door(Protocol):
    """The way in for services that hash a password between two transactions."""

    settings: Settings
    secret: str

    async def look(self, work: Callable[[Db], Awaitable[T]]) -> T:
        """Read on a connection in autocommit."""

    async def change(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Change in one transaction, committed when this returns."""


def _merchant_profile(row: Record, _: None) -> dict[str, Any] | None:
    if row["_eligibility_rules"] is None:
        return None
    return {"minIntegrationFee": row["_min_integration_fee"], "eligibilityRules": row["_eligibility_rules"]}


_USER: Shape[None] = Shape(
    UserOut,
    {name: getattr(User, name) for name in ("id", "email", "name", "role", "created_at")},
    derived={"merchant_profile": _merchant_profile},
    extra={"min_integration_fee": User.min_integration_fee, "eligibility_rules": User.eligibility_rules},
)
_FIND = Statement(select(*_USER.columns).where(User.id == bindparam("p_user")))
_BY_EMAIL = Statement(
    select(User.id, User.role, User.password_hash, User.is_active).where(
        func.lower(User.email) == func.lower(bindparam("p_email"))
    )
)
_CREATE = Statement(
    insert(User).values(
        id=bindparam("p_id"),
        email=bindparam("p_email"),
        name=bindparam("p_name"),
        role=bindparam("p_role"),
        password_hash=bindparam("p_password_hash"),
        eligibility_rules=bindparam("p_eligibility_rules"),
        is_active=True,
        created_at=bindparam("p_now"),
        updated_at=bindparam("p_now"),
    )
)
_OPEN_SESSION = Statement(
    insert(Session).values(id=bindparam("p_session"), user_id=bindparam("p_user"), created_at=bindparam("p_now"))
)
_ADD_REFRESH = Statement(
    insert(RefreshToken).values(
        token_hash=bindparam("p_hash"),
        session_id=bindparam("p_session"),
        created_at=bindparam("p_now"),
        expires_at=bindparam("p_expires"),
    )
)
_UPGRADE_HASH = Statement(
    update(User)
    .where(User.id == bindparam("p_user"), User.password_hash == bindparam("p_old"))
    .values(password_hash=bindparam("p_new"))
)


@dataclass(frozen=True, slots=True)
class NewUser:
    """What an account is made of."""

    email: str
    name: str
    role: Role


async def create(tx: Tx, new: NewUser, password_hash: str, by: Actor | ActorRole) -> UUID:
    """A new account. Raises Conflict `email_taken`; addresses compare case-insensitively."""
    user_id = new_id()
    try:
        await _CREATE.one(
            tx,
            p_id=user_id,
            p_email=new.email,
            p_name=new.name,
            p_role=new.role.value,
            p_password_hash=password_hash,
            p_eligibility_rules=[] if new.role is Role.MERCHANT else None,
            p_now=clock.now(),
        )
    except asyncpg.UniqueViolationError as error:
        if broken_constraint(error) != "uq_users_email_lower":
            raise
        raise Conflict("An account with this e-mail address exists already.", code="email_taken") from None
    await events.record(tx, events.line(by, "user.created", (SubjectType.USER, user_id), role=new.role))
    return user_id


async def signup(door: Door, body: Signup) -> Reply:
    """A new account, signed in. Raises Conflict `email_taken`."""
    digest = await hash_password(body.password)
    new = NewUser(body.email, body.name, Role(body.role.value))

    async def work(tx: Tx) -> Reply:
        user_id = await create(tx, new, digest, ActorRole.ANONYMOUS)
        return await _open_session(tx, door, Actor(user_id, new.role))

    return await door.change(work)


async def login(door: Door, body: Login) -> Reply:
    """A new session. Raises NotSignedIn, the same for a wrong password, an unknown address and an inactive account."""
    actor = await _recognise(door, body.email, body.password)
    return await door.change(lambda tx: _open_session(tx, door, actor))


async def login_form(door: Door, username: str, password: str) -> Reply:
    """The same for the OAuth2 password form, so that Swagger UI's Authorize works."""
    actor = await _recognise(door, username, password)

    async def work(tx: Tx) -> Reply:
        token, _ = await _start(tx, door, actor)
        body = {"access_token": token, "token_type": "bearer", "expires_in": door.settings.jwt_expires_in}
        return Reply(encode(body))

    return await door.change(work)


async def _recognise(door: Door, email: str, password: str) -> Actor:
    """Who has this address and password. The hash is computed between transactions, never inside one."""
    found = await door.look(lambda db: _BY_EMAIL.one(db, p_email=email.strip().replace("\x00", "")))
    valid, upgraded = await check_password(password, found["password_hash"] if found else None)
    if found is None or not valid or not found["is_active"]:
        raise NotSignedIn("The e-mail address or the password is wrong.", code="wrong_credentials")
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
    refresh, digest = make_secret()
    await _OPEN_SESSION.one(tx, p_session=session_id, p_user=actor.id, p_now=now)
    expires = now + timedelta(seconds=tx.settings.refresh_expires_in)
    await _ADD_REFRESH.one(tx, p_hash=digest, p_session=session_id, p_now=now, p_expires=expires)
    await events.record(tx, events.line(actor, "session.opened", (SubjectType.USER, actor.id), session_id=session_id))
    return make_access_token(Claims(actor.id, session_id), door.secret, now, tx.settings.jwt_expires_in), refresh


async def _open_session(tx: Tx, door: Door, actor: Actor) -> Reply:
    token, refresh = await _start(tx, door, actor)
    row = await _FIND.one(tx, p_user=actor.id)
    assert row is not None
    return Reply(
        encode(
            {
                "token": token,
                "refreshToken": refresh,
                "expiresIn": tx.settings.jwt_expires_in,
                "user": _USER.value(row, None),
            }
        )
    )


async def me(db: Db, actor: Actor) -> Reply:
    """The caller's own account."""
    row = await _FIND.one(db, p_user=actor.id)
    assert row is not None
    return _USER.reply(row, None)


@lru_cache
def _patch(columns: frozenset[str]) -> Statement:
    return Statement(
        update(User).where(User.id == bindparam("p_user")).values(**binds(*columns), updated_at=bindparam("p_now"))
    )


async def patch_me(tx: Tx, actor: Actor, body: ProfilePatch, if_match: IfMatch) -> Reply:
    """Change one's name or, as a merchant, one's profile. Raises Conflict for a profile that is no merchant's."""
    if if_match.given:
        if_match.must_allow((await me(tx, actor)).etag)
    changes: dict[str, Any] = {}
    if "name" in body.model_fields_set:
        changes["name"] = body.name
    if "merchant_profile" in body.model_fields_set:
        if actor.role is not Role.MERCHANT:
            raise Conflict("Only a merchant has a merchant profile.", code="not_a_merchant")
        changes["min_integration_fee"] = body.merchant_profile.min_integration_fee
        changes["eligibility_rules"] = body.merchant_profile.eligibility_rules
    if changes:
        values = prefixed(changes)
        await _patch(frozenset(changes)).one(tx, p_user=actor.id, p_now=clock.now(), **values)
        await events.record(
            tx, events.line(actor, "user.changed", (SubjectType.USER, actor.id), fields=sorted(body.model_fields_set))
        )
    return await me(tx, actor)


_BUYER: Shape[None] = Shape(BuyerOut, {"id": User.id, "name": User.name, "role": User.role})
_NEWEST = Sort("-createdAt", User.created_at, User.id, descending=True)


@lru_cache
def _buyers(filters: frozenset[str], *, after: bool) -> Statement:
    statement = select(*_BUYER.columns).where(User.is_active, User.role.in_([role.value for role in BUYERS]))
    if "role" in filters:
        statement = statement.where(User.role == bindparam("p_role"))
    if "q" in filters:
        statement = statement.where(User.name.ilike(bindparam("p_q"), escape="\\"))
    return Statement(_NEWEST.apply(statement, after=after))


async def buyers(db: Db, actor: Actor, filters: dict[str, Any], page: Page) -> Reply:
    """The directory to invite from: active buyers, newest first. Filters `q` (part of the name) and `role`."""
    must_be(actor, Role.CREATOR, Role.OPERATOR)
    values = prefixed(filters)
    if "q" in filters:
        values["p_q"] = contains(filters["q"])
    rows = await _buyers(frozenset(filters), after=page.cursor is not None).rows(db, **values, **_NEWEST.binds(page))
    return reply_page(rows, page, _NEWEST, _BUYER, None)
