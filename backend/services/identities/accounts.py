"""Accounts: who a provider's subject is here, linked or made when it is new; one's own identities."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from unicodedata import normalize
from uuid import UUID

import asyncpg
from asyncpg import Record
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import bindparam, delete, exists, func, insert, select

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply, Shape
from backend.core.statements import Statement, binds
from backend.integrations.oauth import Claimed, Provider
from backend.models.events import ActorRole, SubjectType
from backend.models.identities import Identity
from backend.models.users import Role, User
from backend.policies import identities as policy
from backend.policies.identities import Account
from backend.policies.users import Actor
from backend.schemas.identities import IdentityOut
from backend.schemas.users import Email
from backend.services import events, users
from backend.services.users import NewUser

NO_PASSWORD = "!"  # noqa: S105 no hash: nothing fits, until one is set by mail
_ADDRESS: TypeAdapter[str] = TypeAdapter(Email)

_KNOWN = Statement(
    select(User.id, User.role, User.is_active)
    .join(Identity, Identity.user_id == User.id)
    .where(Identity.provider == bindparam("p_provider"), Identity.subject == bindparam("p_subject"))
)
# Two sign-ins that would link the same account at once: the second one waits, and finds it linked.
_LOCK = Statement(
    select(User.id).where(func.lower(User.email) == func.lower(bindparam("p_email"))).with_for_update(key_share=True)
)
_ACCOUNT = Statement(
    select(
        User.role,
        User.is_active,
        User.email_verified_at.is_not(None).label("email_verified"),
        exists().where(Identity.user_id == User.id, Identity.provider == bindparam("p_provider")).label("linked"),
    ).where(User.id == bindparam("p_user"))
)
_LINK = Statement(insert(Identity).values(**binds("id", "user_id", "provider", "subject", "created_at")))


async def whose(tx: Tx, provider: Provider, claimed: Claimed, role: Role | None) -> Actor:
    """The account of whom the provider vouches for, linked or made if need be.

    Known by its subject alone; the address counts only the first time. Raises Forbidden, Conflict.
    """
    known = await _KNOWN.one(tx, p_provider=provider.name, p_subject=claimed.subject)
    if known is not None:
        return _admitted(known)
    email = policy.must_be_addressed(_address(claimed.email), provider.title)
    user_id = await _LOCK.value(tx, p_email=email)
    if user_id is None:
        actor = await _create(tx, claimed, email, policy.must_have_role(role))
    else:
        # Read anew: whoever held the lock may have linked this very subject.
        known = await _KNOWN.one(tx, p_provider=provider.name, p_subject=claimed.subject)
        if known is not None:
            return _admitted(known)
        row = await _ACCOUNT.one(tx, p_user=user_id, p_provider=provider.name)
        assert row is not None
        account = Account(user_id, Role(row["role"]), row["is_active"], row["email_verified"], row["linked"])
        policy.must_link(account, provider.title)
        actor = Actor(user_id, account.role)
    await _link(tx, actor, provider.name, claimed.subject)
    return actor


def _admitted(row: Record) -> Actor:
    account = Account(row["id"], Role(row["role"]), row["is_active"], email_verified=True, linked=True)
    policy.must_let_in(account)
    return Actor(account.id, account.role)


def _address(email: str | None) -> str | None:
    """The address in the form that sign-up stores; None for what sign-up would not take."""
    try:
        return None if email is None else _ADDRESS.validate_python(normalize("NFC", email))
    except ValidationError:
        return None


async def _create(tx: Tx, claimed: Claimed, email: str, role: Role) -> Actor:
    """An account without a password. The provider has verified the address, so it is proven."""
    name = " ".join("".join(each if each.isprintable() else " " for each in claimed.name or "").split())[:200]
    new = NewUser(email, name or email.partition("@")[0], role, email_verified=True)
    return Actor(await users.create(tx, new, NO_PASSWORD, ActorRole.ANONYMOUS), role)


async def _link(tx: Tx, actor: Actor, provider: str, subject: str) -> None:
    identity_id = new_id()
    new = {"p_id": identity_id, "p_user_id": actor.id, "p_provider": provider, "p_subject": subject}
    try:
        await _LINK.one(tx, **new, p_created_at=clock.now())
    except asyncpg.UniqueViolationError:  # the same subject, with another address, a moment ago
        raise Conflict("This was linked by another sign-in just now; start again.", code="linked_meanwhile") from None
    about: dict[str, Any] = {"identity_id": identity_id, "provider": provider}
    await events.record(tx, events.line(actor, "identity.linked", (SubjectType.USER, actor.id), **about))


# One's own.

_OWN: Shape[None] = Shape(IdentityOut, {name: getattr(Identity, name) for name in ("id", "provider", "created_at")})
_NEWEST = Sort("-createdAt", Identity.created_at, Identity.id, descending=True)
_REMOVE = Statement(
    delete(Identity)
    .where(Identity.id == bindparam("p_identity"), Identity.user_id == bindparam("p_user"))
    .returning(Identity.provider)
)


@lru_cache
def _list(*, after: bool) -> Statement:
    mine = select(*_OWN.columns).where(Identity.user_id == bindparam("p_user"))
    return Statement(_NEWEST.apply(mine, after=after))


async def find_all(db: Db, actor: Actor, page: Page) -> Reply:
    """The caller's own identities, newest first."""
    rows = await _list(after=page.cursor is not None).rows(db, p_user=actor.id, **_NEWEST.binds(page))
    return reply_page(rows, page, _NEWEST, _OWN, None)


async def remove(tx: Tx, actor: Actor, identity_id: UUID) -> Reply:
    """Unlink one of the caller's own identities. Raises NotFound for any other."""
    provider = await _REMOVE.value(tx, p_identity=identity_id, p_user=actor.id)
    if provider is None:
        raise NotFound
    about: dict[str, Any] = {"identity_id": identity_id, "provider": provider}
    await events.record(tx, events.line(actor, "identity.unlinked", (SubjectType.USER, actor.id), **about))
    return Reply(b"")
