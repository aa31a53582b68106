"""Matches: slots for a SKU and SKUs for a slot, with the reasons, worked out anew for each answer."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, func, select, true

from backend.core import clock
from backend.core.database import Db
from backend.core.errors import NotFound
from backend.core.paging import Page, reply_page
from backend.core.shapes import Derive, Reply, Shape
from backend.core.statements import Statement
from backend.models.matches import SlotWord
from backend.models.skus import Sku
from backend.models.slots import Slot
from backend.models.users import BUYERS, Role
from backend.policies import skus as sku_policy
from backend.policies import slots as slot_policy
from backend.policies.matches import RULES
from backend.policies.users import Actor
from backend.schemas.matches import SkuMatchOut, SlotMatchOut
from backend.services import slots
from backend.services.matches.pairs import SKU, skus_for_slot, slots_for_sku
from backend.services.matches.words import asked


def _verdicts(row: Record, own: bool) -> list[dict[str, Any]]:
    """Every rule of a pair; `own` says that the merchant reads."""
    facts = {name.removeprefix("_"): value for name, value in row.items()}
    return [
        {"rule": rule.name, "passed": passed, "detail": rule.say(facts, passed, own)}
        for rule in RULES
        for passed in (facts[f"passed_{rule.name}"],)
    ]


_REASONS: dict[str, Derive[bool]] = {
    "score": lambda row, _: row["_score"],
    "matched": lambda row, _: row["_matched"],
    "categories": lambda row, _: row["_categories"],
    "rules": _verdicts,
}
_SLOT_MATCH: Shape[bool] = Shape(
    SlotMatchOut, {}, derived={**_REASONS, "slot": lambda row, _: slots.SHAPE.value(row, None)}
)
_SKU_MATCH: Shape[bool] = Shape(SkuMatchOut, {}, derived={**_REASONS, "sku": lambda row, _: SKU.value(row, None)})

_said = func.word_points(func.sku_document(Sku.title, Sku.tags, Sku.description)).table_valued("word", "points")
_SKU_SAYS = Statement(
    select(_said.c.word, _said.c.points)
    .select_from(Sku)
    .outerjoin(_said, true())
    .where(Sku.id == bindparam("p_id"), sku_policy.VISIBLE)
)


@lru_cache
def _slot_says(role: Role) -> Statement:
    return Statement(
        select(SlotWord.word, SlotWord.points, Slot.excluded_categories)
        .select_from(Slot)
        .outerjoin(SlotWord, SlotWord.slot_id == Slot.id)
        .where(Slot.id == bindparam("p_id"), slot_policy.visible(role))
    )


def _points(rows: Iterable[Record]) -> dict[str, int]:
    """Words with their points; one side may say nothing."""
    return {row["word"]: row["points"] for row in rows if row["word"] is not None}


async def find_slots(db: Db, actor: Actor, sku_id: UUID, page: Page, *, failing: bool) -> Reply:
    """Slots that fit one of the caller's SKUs, best first: those that keep every rule, or `failing` those that do not.

    A slot that the caller may not see is in neither. Raises NotFound.
    """
    said = await _SKU_SAYS.rows(db, p_id=sku_id, p_actor=actor.id)
    if not said:
        raise NotFound
    statement, sort = slots_for_sku(failing=failing, after=page.cursor is not None)
    rows = await statement.rows(
        db,
        **asked(_points(said)),
        **sort.binds(page),
        p_actor=actor.id,
        p_now=clock.now(),
        p_sku=sku_id,
    )
    return reply_page(rows, page, sort, _SLOT_MATCH, True)


async def find_skus(db: Db, actor: Actor, slot_id: UUID, page: Page, *, failing: bool) -> Reply:
    """SKUs that fit a slot, best first: a buyer's own, for others those whose merchants allow matching.

    `failing` answers those that break a rule instead. Raises NotFound.
    """
    said = await _slot_says(actor.role).rows(db, p_id=slot_id, p_actor=actor.id)
    if not said:
        raise NotFound
    binds = asked(_points(said), said[0]["excluded_categories"])
    statement, sort = skus_for_slot(actor.role, failing=failing, after=page.cursor is not None)
    rows = await statement.rows(
        db,
        **binds,
        **sort.binds(page),
        p_actor=actor.id,
        p_now=clock.now(),
        p_slot=slot_id,
        p_query=" | ".join(f"'{word}'" for word in binds["p_words"]),
    )
    return reply_page(rows, page, sort, _SKU_MATCH, actor.role in BUYERS)
