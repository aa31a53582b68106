"""SKUs: a merchant's catalogue, one by one."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import bindparam, insert, select, update

from backend.core import clock
from backend.core.database import Db, Tx, broken_constraint
from backend.core.errors import Conflict, NotFound
from backend.core.ids import new_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import IfMatch, Reply, Shape
from backend.core.statements import Statement, binds, prefixed
from backend.models.events import SubjectType
from backend.models.skus import Sku
from backend.models.users import Role
from backend.policies import skus as policy
from backend.policies.users import Actor, must_be
from backend.schemas.skus import SkuIn, SkuOut, SkuPatch
from backend.services import events

_SKU: Shape[None] = Shape(SkuOut, {name: getattr(Sku, name) for name in SkuOut.model_fields})
_NEWEST = Sort("-createdAt", Sku.created_at, Sku.id, descending=True)
_ALL = select(*_SKU.columns).where(policy.VISIBLE)
_FIND = Statement(_ALL.where(Sku.id == bindparam("p_id")))
_LOCK = Statement(select(Sku.id).where(Sku.id == bindparam("p_id"), policy.VISIBLE).with_for_update())
_LIST = {after: Statement(_NEWEST.apply(_ALL, after=after)) for after in (False, True)}
_COLUMNS = ("id", "merchant_id", *SkuIn.model_fields)
_CREATE = Statement(
    insert(Sku).values(
        **binds(*_COLUMNS),
        created_at=bindparam("p_now"),
        updated_at=bindparam("p_now"),
    )
)


@lru_cache
def _patch(columns: frozenset[str]) -> Statement:
    return Statement(
        update(Sku).where(Sku.id == bindparam("p_id")).values(**binds(*columns), updated_at=bindparam("p_now"))
    )


async def get(db: Db, actor: Actor, sku_id: UUID) -> Reply:
    """One of the caller's SKUs. Raises NotFound."""
    row = await _FIND.one(db, p_id=sku_id, p_actor=actor.id)
    if row is None:
        raise NotFound
    return _SKU.reply(row, None)


async def find_all(db: Db, actor: Actor, page: Page) -> Reply:
    """The caller's catalogue, newest first."""
    must_be(actor, Role.MERCHANT)
    rows = await _LIST[page.cursor is not None].rows(db, p_actor=actor.id, **_NEWEST.binds(page))
    return reply_page(rows, page, _NEWEST, _SKU, None)


async def create(tx: Tx, actor: Actor, body: SkuIn) -> Reply:
    """A new SKU. Raises Conflict `external_id_taken`."""
    must_be(actor, Role.MERCHANT)
    sku_id = new_id()
    values = prefixed(body.model_dump())
    await _write(tx, _CREATE, p_id=sku_id, p_merchant_id=actor.id, p_now=clock.now(), **values)
    await events.record(tx, events.line(actor, "sku.created", (SubjectType.SKU, sku_id)))
    return await get(tx, actor, sku_id)


async def _write(tx: Tx, statement: Statement, **values: Any) -> None:
    try:
        await statement.one(tx, **values)
    except asyncpg.UniqueViolationError as error:
        if broken_constraint(error) != "uq_skus_merchant_id_external_id":
            raise
        raise Conflict("Another of your SKUs has this externalId.", code="external_id_taken") from None


async def _lock_own(tx: Tx, actor: Actor, sku_id: UUID, if_match: IfMatch) -> None:
    if await _LOCK.value(tx, p_id=sku_id, p_actor=actor.id) is None:
        raise NotFound
    if if_match.given:
        if_match.must_allow((await get(tx, actor, sku_id)).etag)


async def patch(tx: Tx, actor: Actor, sku_id: UUID, body: SkuPatch, if_match: IfMatch) -> Reply:
    """Change what was sent; the rest stays. Raises NotFound, StaleVersion, Conflict."""
    await _lock_own(tx, actor, sku_id, if_match)
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    if changes:
        values = prefixed(changes)
        await _write(tx, _patch(frozenset(changes)), p_id=sku_id, p_now=clock.now(), **values)
        line = events.line(actor, "sku.changed", (SubjectType.SKU, sku_id), fields=sorted(changes))
        await events.record(tx, line)
    return await get(tx, actor, sku_id)


async def remove(tx: Tx, actor: Actor, sku_id: UUID, if_match: IfMatch) -> Reply:
    """Hide the SKU; bids that name it keep it. Raises NotFound, StaleVersion."""
    await _lock_own(tx, actor, sku_id, if_match)
    now = clock.now()
    await _patch(frozenset({"removed_at"})).one(tx, p_id=sku_id, p_removed_at=now, p_now=now)
    await events.record(tx, events.line(actor, "sku.removed", (SubjectType.SKU, sku_id)))
    return Reply(b"")
