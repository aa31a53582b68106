"""The statements of matching: candidates by an index, what each says in common with the one asked about, the verdicts.

Both directions have one form: the words of one side come as binds (`services.matches.words`), the other's are read.
"""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, and_, bindparam, case, cast, func, literal_column, select, true
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.types import Boolean, Integer, Text

from backend.core.paging import Sort
from backend.core.shapes import Shape
from backend.core.statements import Statement
from backend.models.base import Money
from backend.models.matches import SlotWord
from backend.models.projects import Project
from backend.models.skus import Sku
from backend.models.slots import Slot
from backend.models.users import Role
from backend.policies import matches as policy
from backend.policies import slots as slot_policy
from backend.policies.matches import RULES, Merchant
from backend.schemas.matches import MatchedSku
from backend.services import slots
from backend.services.matches.words import PRIOR

_PER_WORD = 500  # the best and newest slots of each word
_FOUND = 10_000  # of which the best are asked for
_CANDIDATES = 200  # that are looked at closely
_NEWEST_SKUS = 300

SKU: Shape[None] = Shape(MatchedSku, {name: getattr(Sku, name) for name in MatchedSku.model_fields})


def _list(name: str, of: Any) -> Any:
    return bindparam(f"p_{name}", type_=ARRAY(of))


def _unnested(name: str, **lists: Any) -> CTE:
    """Parallel lists of binds as rows."""
    rows = func.unnest(*(_list(bind, of) for bind, of in lists.values())).table_valued(*lists).render_derived()
    return select(rows).cte(name)


_ASKED = _unnested(
    "asked",
    word=("words", Text()),
    points=("points", Integer()),
    likely=("likely", Integer()),
    finds=("finds", Boolean()),
)
_KNOWN = _unnested(
    "known",
    word=("known_words", Text()),
    category=("known_categories", Text()),
    thing=("known_things", Integer()),
    part=("known_parts", Integer()),
    size=("known_sizes", Integer()),
    common=("known_common", Boolean()),
)
_COMMON = _list("categories", Text())


def _slot_candidates(*, failing: bool) -> CTE:
    """The slots that say most of it, counted from the best and newest of each word; never more are read.

    Those that break an early rule are left out, unless it is the `failing` that are asked for.
    """
    posting = (
        select(SlotWord.slot_id, SlotWord.points)
        .where(SlotWord.word == _ASKED.c.word)
        .order_by(SlotWord.points.desc(), SlotWord.slot_id.desc())
        .limit(_PER_WORD)
        .lateral("posting")
    )
    weight = func.sum(posting.c.points * _ASKED.c.points) + func.max(_ASKED.c.likely)
    found = (
        select(posting.c.slot_id.label("id"), weight.label("weight"))
        .select_from(_ASKED)
        .join(posting, true())
        .where(_ASKED.c.finds)
        .group_by(posting.c.slot_id)
        .order_by(weight.desc(), posting.c.slot_id.desc())
        .limit(_FOUND)
        .subquery("found")
    )
    best = select(found.c.id).order_by(found.c.weight.desc(), found.c.id.desc()).limit(_CANDIDATES)
    return (best if failing else best.where(_keeps_early_rules(found.c.id))).cte("candidates")


def _keeps_early_rules(slot_id: Any) -> ColumnElement[bool]:
    """A question about one row, asked in the order of `found` until there are enough: a join would begin elsewhere."""
    pair = SimpleNamespace(**policy.facts(_COMMON))
    kept = (
        select(and_(*(rule.passed(pair) for rule in RULES if rule.early)))
        .select_from(Slot)
        .join(Sku, Sku.id == bindparam("p_sku"))
        .join(Merchant, Merchant.id == Sku.merchant_id)
        .where(Slot.id == slot_id)
    )
    return kept.scalar_subquery()


def _sku_candidates(role: Role) -> CTE:
    """The newest SKUs that say any of it, of those that the reader is shown."""
    said = func.sku_document(Sku.title, Sku.tags, Sku.description)
    query = func.to_tsquery(literal_column("'simple'"), bindparam("p_query"))
    found = (
        select(Sku.id, Sku.merchant_id, said.label("said"))
        .where(said.op("@@")(query), policy.offered_to(role))
        .order_by(Sku.id.desc())
        .subquery("found")
    )
    # Asked in that order until there are enough.
    shown = select(policy.shown_to(role)).where(Merchant.id == found.c.merchant_id).scalar_subquery()
    newest = select(found.c.id, found.c.said).where(shown).order_by(found.c.id.desc()).limit(_NEWEST_SKUS)
    return newest.cte("candidates")


def _slot_words(candidates: CTE) -> CTE:
    words = select(SlotWord.slot_id.label("id"), SlotWord.word, SlotWord.points)
    return words.join(candidates, candidates.c.id == SlotWord.slot_id).cte("theirs")


def _sku_words(candidates: CTE) -> CTE:
    said = func.word_points(candidates.c.said).table_valued("word", "points")
    return select(candidates.c.id, said.c.word, said.c.points).select_from(candidates).join(said, true()).cte("theirs")


def _weighed(theirs: CTE) -> CTE:
    """For each of the others: points and words in common, and the categories that it speaks of."""
    worth = theirs.c.points * _ASKED.c.points
    shared = (
        select(
            theirs.c.id,
            func.sum(worth).label("points"),
            func.array_agg(aggregate_order_by(theirs.c.word, worth.desc(), theirs.c.word)).label("words"),
        )
        .join(_ASKED, _ASKED.c.word == theirs.c.word)
        .where(_ASKED.c.points > 0)
        .group_by(theirs.c.id)
        .subquery("shared")
    )
    spoken = (
        select(theirs.c.id, _KNOWN.c.category, _KNOWN.c.common)
        .join(_KNOWN, _KNOWN.c.word == theirs.c.word)
        .group_by(theirs.c.id, _KNOWN.c.category, _KNOWN.c.thing, _KNOWN.c.size, _KNOWN.c.common)
        .having(func.count(_KNOWN.c.part.distinct()) == _KNOWN.c.size)
        .subquery("spoken")
    )
    names = func.array_agg(aggregate_order_by(spoken.c.category.distinct(), spoken.c.category), type_=ARRAY(Text()))
    kinds = (
        select(spoken.c.id, names.label("all"), names.filter(spoken.c.common).label("common"))
        .group_by(spoken.c.id)
        .subquery("kinds")
    )
    none: Any = literal_column("'{}'::text[]")
    return (
        select(
            func.coalesce(shared.c.id, kinds.c.id).label("id"),
            func.coalesce(shared.c.points, 0).label("points"),
            func.coalesce(shared.c.words, none).label("words"),
            func.coalesce(kinds.c.all, none).label("categories"),
            func.coalesce(kinds.c.common, none).label("common"),
        )
        .select_from(shared.join(kinds, kinds.c.id == shared.c.id, full=True))
        .cte("weighed")
    )


def _judged(pairs: Select[Any], weighed: CTE, categories: Any) -> CTE:
    """Everything of a pair: what the answer shows of the noun, what is in common, the facts for the rules."""
    points = weighed.c.points + case((func.cardinality(weighed.c.common) > 0, PRIOR), else_=0)
    return (
        pairs.add_columns(
            cast(points / literal_column("100.0"), Money).label("_score"),
            weighed.c.words.label("_matched"),
            weighed.c.common.label("_categories"),
            *(fact.label(f"_{name}") for name, fact in policy.facts(categories).items()),
        )
        .where(points > 0)
        .cte("judged")
        .prefix_with("MATERIALIZED")
    )


def _page(judged: CTE, sort: str, *, failing: bool, after: bool) -> tuple[Statement, Sort]:
    """Those that keep every rule, or `failing` those that do not, best first."""
    pair = SimpleNamespace(**{name: judged.c[f"_{name}"] for name in policy.facts(_COMMON)})
    verdicts: dict[str, ColumnElement[bool]] = {rule.name: rule.passed(pair) for rule in RULES}
    kept = and_(*verdicts.values())
    order = Sort(sort, judged.c["_score"], judged.c.id, descending=True)
    columns = [verdict.label(f"_passed_{name}") for name, verdict in verdicts.items()]
    return Statement(order.apply(select(judged, *columns).where(~kept if failing else kept), after=after)), order


@lru_cache
def slots_for_sku(*, failing: bool, after: bool) -> tuple[Statement, Sort]:
    """The slots for one SKU (`p_sku`) that its merchant may see; a slot that it may not see is in no answer."""
    weighed = _weighed(_slot_words(_slot_candidates(failing=failing)))
    pairs = (
        select(*slots.SHAPE.columns)
        .select_from(weighed)
        .join(Slot, Slot.id == weighed.c.id)
        .join(Project, Project.id == Slot.project_id)
        .join(Sku, Sku.id == bindparam("p_sku"))
        .join(Merchant, Merchant.id == Sku.merchant_id)
        .where(slot_policy.listed(Role.MERCHANT))
    )
    judged = _judged(pairs, weighed, _COMMON)
    return _page(judged, "-slotScore", failing=failing, after=after)


@lru_cache
def skus_for_slot(role: Role, *, failing: bool, after: bool) -> tuple[Statement, Sort]:
    """The SKUs for one slot (`p_slot`) that the reader is shown."""
    weighed = _weighed(_sku_words(_sku_candidates(role)))
    pairs = (
        select(*SKU.columns)
        .select_from(weighed)
        .join(Sku, Sku.id == weighed.c.id)
        .join(Merchant, Merchant.id == Sku.merchant_id)
        .join(Slot, Slot.id == bindparam("p_slot"))
        .join(Project, Project.id == Slot.project_id)
    )
    judged = _judged(pairs, weighed, weighed.c.categories)
    return _page(judged, "-skuScore", failing=failing, after=after)
