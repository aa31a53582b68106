"""Users: making an account, one's own profile, leaving, the directory of buyers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg import Record
from sqlalchemy import bindparam, insert, select, update

from backend.core import clock
from backend.core.database import Db, Tx, broken_constraint
from backend.core.errors import Conflict
from backend.core.ids import new_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.searching import says, words
from backend.core.shapes import IfMatch, Reply, Shape
from backend.core.statements import Statement, binds, prefixed
from backend.models.events import ActorRole, SubjectType
from backend.models.users import BUYERS, Role, User
from backend.policies.users import Actor, must_be
from backend.schemas.users import BuyerOut, ProfilePatch, UserOut
from backend.services import events


def _merchant_profile(row: Record, _: None) -> dict[str, Any] | None:
    if row["_eligibility_rules"] is None:
        return None
    return {
        "minIntegrationFee": row["_min_integration_fee"],
        "eligibilityRules": row["_eligibility_rules"],
        "allowMatching": row["_allow_matching"],
    }


_OWN = ("id", "email", "email_verified_at", "name", "role", "mail_notifications", "created_at")
_USER: Shape[None] = Shape(
    UserOut,
    {name: getattr(User, name) for name in _OWN},
    derived={"merchant_profile": _merchant_profile},
    extra={name: getattr(User, name) for name in ("min_integration_fee", "eligibility_rules", "allow_matching")},
)
_FIND = Statement(select(*_USER.columns).where(User.id == bindparam("p_user")))
_CREATE = Statement(
    insert(User).values(
        id=bindparam("p_id"),
        email=bindparam("p_email"),
        email_verified_at=bindparam("p_email_verified_at"),
        name=bindparam("p_name"),
        role=bindparam("p_role"),
        password_hash=bindparam("p_password_hash"),
        eligibility_rules=bindparam("p_eligibility_rules"),
        is_active=True,
        created_at=bindparam("p_now"),
        updated_at=bindparam("p_now"),
    )
)


@dataclass(frozen=True, slots=True)
class NewUser:
    """What an account is made of; `email_verified` for an address that is known to be its owner's."""

    email: str
    name: str
    role: Role
    email_verified: bool = False


async def create(tx: Tx, new: NewUser, password_hash: str, by: Actor | ActorRole) -> UUID:
    """A new account. Raises Conflict `email_taken`; addresses compare case-insensitively."""
    user_id, now = new_id(), clock.now()
    try:
        await _CREATE.one(
            tx,
            p_id=user_id,
            p_email=new.email,
            p_email_verified_at=now if new.email_verified else None,
            p_name=new.name,
            p_role=new.role.value,
            p_password_hash=password_hash,
            p_eligibility_rules=[] if new.role is Role.MERCHANT else None,
            p_now=now,
        )
    except asyncpg.UniqueViolationError as error:
        if broken_constraint(error) != "uq_users_email_lower":
            raise
        raise Conflict("An account with this e-mail address exists already.", code="email_taken") from None
    await events.record(tx, events.line(by, "user.created", (SubjectType.USER, user_id), role=new.role))
    return user_id


async def account(db: Db, user_id: UUID) -> dict[str, Any]:
    """A user as its owner sees it."""
    row = await _FIND.one(db, p_user=user_id)
    assert row is not None
    return _USER.value(row, None)


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
    """Change one's name, mails or, as a merchant, one's profile. Raises Conflict for a profile that is not theirs."""
    if if_match.given:
        if_match.must_allow((await me(tx, actor)).etag)
    changes: dict[str, Any] = {}
    if "name" in body.model_fields_set:
        changes["name"] = body.name
    if "mail_notifications" in body.model_fields_set:
        changes["mail_notifications"] = body.mail_notifications
    if "merchant_profile" in body.model_fields_set:
        if actor.role is not Role.MERCHANT:
            raise Conflict("Only a merchant has a merchant profile.", code="not_a_merchant")
        changes |= {name: getattr(body.merchant_profile, name) for name in body.merchant_profile.model_fields_set}
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
        statement = statement.where(says(User.name))
    return Statement(_NEWEST.apply(statement, after=after))


async def buyers(db: Db, actor: Actor, filters: dict[str, Any], page: Page) -> Reply:
    """The directory to invite from: active buyers, newest first. Filters `q` (words of the name) and `role`."""
    must_be(actor, Role.CREATOR, Role.OPERATOR)
    values = prefixed(filters)
    if "q" in filters:
        values["p_q"] = words(filters["q"])
    rows = await _buyers(frozenset(filters), after=page.cursor is not None).rows(db, **values, **_NEWEST.binds(page))
    return reply_page(rows, page, _NEWEST, _BUYER, None)
