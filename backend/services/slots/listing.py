"""Lists of slots: those that keep filters, in an order, and those that say words (decision 124)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from asyncpg import Record
from sqlalchemy import Select, bindparam, func, null, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Integer, Uuid

from backend.core import clock
from backend.core.database import Db
from backend.core.paging import Page, Sort, reply_page
from backend.core.searching import ASKED, says, words
from backend.core.shapes import Reply
from backend.core.statements import Statement, prefixed
from backend.models.projects import Project
from backend.models.slots import Slot
from backend.models.users import Role
from backend.policies import slots as policy
from backend.policies.users import Actor
from backend.schemas.slots import SlotSort
from backend.services.slots.showing import ALL, SHAPE

SORTS = {
    SlotSort.NEWEST: Sort(SlotSort.NEWEST, Slot.created_at, Slot.id, descending=True),
    SlotSort.OLDEST: Sort(SlotSort.OLDEST, Slot.created_at, Slot.id, descending=False),
    SlotSort.DEAREST: Sort(SlotSort.DEAREST, Slot.pricing_floor, Slot.id, descending=True),
    SlotSort.CHEAPEST: Sort(SlotSort.CHEAPEST, Slot.pricing_floor, Slot.id, descending=False),
}
FILTERS: Mapping[str, Any] = {
    "genre": func.lower(Slot.genre) == func.lower(bindparam("p_genre")),
    "type": or_(Slot.type == bindparam("p_type"), Slot.modality == bindparam("p_type")),
    "modality": Slot.modality == bindparam("p_modality"),
    "status": policy.has_status(bindparam("p_status", type_=Slot.status.type)),
    "visibility": Slot.visibility == bindparam("p_visibility"),
    "project_id": Slot.project_id == bindparam("p_project_id"),
    "scene_id": Slot.scene_id == bindparam("p_scene_id"),
    "scene_status": Slot.scene_status == bindparam("p_scene_status"),
    "min_price": Slot.pricing_floor >= bindparam("p_min_price"),
    "max_price": Slot.pricing_floor <= bindparam("p_max_price"),
}


_FEW = 1000  # slots that say the words: so many are looked at one by one
_WALKED = 20  # times the length of a page: so far an order is walked for words that more of them say


@dataclass(frozen=True, slots=True)
class _Form:
    """What makes one statement of a list another than the next."""

    role: Role
    filters: frozenset[str]
    sort: SlotSort
    after: bool

    @property
    def order(self) -> Sort:
        return SORTS[self.sort]

    @property
    def clauses(self) -> list[Any]:
        return [FILTERS[name] for name in sorted(self.filters)]

    def page(self, what: Select[Any], limit: str = "p_limit") -> Select[Any]:
        """So many of the slots that this role is shown and that keep these filters, in their order."""
        parts = [what.where(part, *self.clauses) for part in policy.listed_in_parts(self.role)]
        return self.order.merge([self.order.apply(part, after=self.after, limit=limit) for part in parts], limit)

    def of(self, *which: Any) -> Statement:
        """One page of those among them that are meant by these clauses, which have an index to begin from."""
        ids = select(Slot.id).where(policy.listed(self.role), *self.clauses, *which)
        return Statement(self.order.look_up(ALL, self.order.apply(ids, after=self.after)))


@cache
def _list(form: _Form) -> Statement:
    return Statement(form.page(ALL))


async def find_all(db: Db, actor: Actor, filters: Mapping[str, Any], sort: SlotSort, page: Page) -> Reply:
    """The slots the caller may see. `filters` are keys of `FILTERS` with their values, and `q`, words."""
    kept = {name: value for name, value in filters.items() if name != "q"}
    form = _Form(actor.role, frozenset(kept), sort, page.cursor is not None)
    binds = {"p_actor": actor.id, "p_now": clock.now(), **prefixed(kept), **form.order.binds(page)}
    rows = await (_search(db, form, words(filters["q"]), binds) if "q" in filters else _list(form).rows(db, **binds))
    return reply_page(rows, page, form.order, SHAPE, None)


# By words (decision 124).

_SAYING = Statement(select(func.slots_saying(ASKED, bindparam("p_most", type_=Integer())).label("id")))
_SAID_BY_PROJECT = select(says(Project.title)).where(Project.id == Slot.project_id).scalar_subquery()


@cache
def _among(form: _Form) -> Statement:
    return form.of(Slot.id == func.any(bindparam("p_found", type_=ARRAY(Uuid()))))


@cache
def _among_all(form: _Form) -> Statement:
    return form.of(Slot.id.in_(select(func.slots_saying(ASKED, null()))))


@cache
def _walked(form: _Form) -> Statement:
    walked = form.page(select(Slot.id), "p_walked").subquery("walked")
    said = or_(says(Slot.scene_ref, Slot.description), _SAID_BY_PROJECT)
    saying = select(walked).join(Slot, Slot.id == walked.c.id).where(said)
    return Statement(form.order.look_up(ALL, form.order.first_of(saying, walked)))


@cache
def _length(form: _Form) -> Statement:
    return Statement(select(func.count()).select_from(form.page(select(Slot.id), "p_walked").subquery()))


async def _search(db: Db, form: _Form, asked: str, binds: dict[str, Any]) -> Sequence[Record]:
    """Few that say the words are sorted; of many the first page is soon met in the order; else all are sorted."""
    if not asked:
        return []
    binds["p_q"] = asked
    found = [row["id"] for row in await _SAYING.rows(db, p_q=asked, p_most=_FEW + 1)]
    if len(found) <= _FEW:
        return await _among(form).rows(db, p_found=found, **binds)
    binds["p_walked"] = _WALKED * binds["p_limit"]
    rows = await _walked(form).rows(db, **binds)
    if len(rows) == binds["p_limit"] or await _length(form).value(db, **binds) < binds["p_walked"]:
        return rows
    return await _among_all(form).rows(db, **binds)
