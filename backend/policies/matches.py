"""The hard rules of matching: whether a SKU and a slot may come together at all, and the sentence that says why.

Each rule is said once, over the facts of a pair: in SQL it filters and is the verdict that is shown. A rule that a bid
would meet as well says what `policies.bids.place` says; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, extract, func, literal_column, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlalchemy.types import Text

from backend.models.bids import Bid, BidStatus
from backend.models.projects import Project
from backend.models.skus import Sku
from backend.models.slots import Modality, Slot, SlotStatus, Visibility
from backend.models.users import BUYERS, Role, User
from backend.policies import bids, slots

Merchant = aliased(User, name="merchant")
Facts = Mapping[str, Any]


def _excluded(categories: Any) -> ColumnElement[list[str]]:
    """Which of the slot's excluded categories the SKU falls under: by its name, a tag, or what the lexicon finds in it.

    Letter case, signs and a plural's ending do not count.
    """
    label = func.unnest(Slot.excluded_categories).column_valued("label")
    named = func.unnest(func.array_append(Sku.tags, Sku.title)).column_valued("named")
    known = func.unnest(categories).column_valued("known")
    plain = func.plain_label(label)
    blank: Any = literal_column("' '")
    said = func.strpos(blank.concat(func.plain_label(named)).concat(blank), blank.concat(plain).concat(blank)) > 0
    hit = or_(
        exists().where(said),
        exists().where(func.plain_label(known) == plain),
    )
    return func.array(select(label).where(plain != "", hit).scalar_subquery(), type_=ARRAY(Text()))


_HAS_BID = exists().where(
    Bid.slot_id == Slot.id, Bid.buyer_id == Sku.merchant_id, bids.EFFECTIVE_STATUS.not_in([BidStatus.DECLINED.value])
)


def facts(categories: Any) -> dict[str, Any]:
    """What the rules look at, over Slot, Project, Sku and `Merchant`; `categories` are the lexicon's for the SKU."""
    return {
        "excludes": Slot.excluded_categories,
        "excluded": _excluded(categories),
        "private": Slot.visibility == Visibility.PRIVATE.value,
        "visible": slots.visible_to(Sku.merchant_id),
        "floor": Slot.pricing_floor,
        "fee": Merchant.min_integration_fee,
        "state": slots.EFFECTIVE_STATUS,
        "auction": Slot.modality == Modality.AUCTION.value,
        "sold": and_(Slot.holder_bid_id.is_not(None), Slot.hold_expires_at.is_(None)),
        "closes": Slot.bidding_closes_at,
        "has_bid": _HAS_BID,
        "window": Project.production_window,
        "last_year": func.last_year(Project.production_window),
    }


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: when it is kept, over something with the facts as attributes, and its sentence, from their values.

    `say` also takes whether it was kept, and whether the merchant reads: the fee is nobody else's to know. A rule that
    looks at the slot's row and the merchant's alone is `early`: it costs nothing to judge before anything is weighed.
    """

    name: str
    passed: Callable[[Any], ColumnElement[bool]]
    say: Callable[[Facts, bool, bool], str]
    early: bool = False


def _say_category(pair: Facts, passed: bool, _: bool) -> str:
    if not passed:
        return f"The slot excludes {', '.join(pair['excluded'])}."
    return (
        f"The slot excludes {', '.join(pair['excludes'])}; this is none of it."
        if pair["excludes"]
        else ("The slot excludes nothing.")
    )


def _say_visibility(pair: Facts, passed: bool, _: bool) -> str:
    if not pair["private"]:
        return "The slot is Public."
    if passed:
        return "The slot is Private; the merchant is invited, or has had a bid on it."
    return "The slot is Private, and the merchant is not invited."


def _say_price(pair: Facts, passed: bool, own: bool) -> str:
    stands = "reaches" if passed else "is below"
    if own and pair["fee"] is None:
        return f"The floor is {pair['floor']:,.2f}; no minimum fee is set."
    least = f"the minimum fee of {pair['fee']:,.2f}" if own else "what the merchant asks for"
    return f"The floor of {pair['floor']:,.2f} {stands} {least}."


def _say_availability(pair: Facts, passed: bool, _: bool) -> str:
    if passed:
        held = pair["state"] == SlotStatus.LOCKED
        return "The slot is held at the moment; a new bid stands by." if held else "The slot is Available."
    return "This slot is sold." if pair["sold"] else "This slot is reserved at the moment."


def _say_bidding(pair: Facts, passed: bool, _: bool) -> str:
    if pair["closes"] is None:
        return "Bidding has no end."
    return f"Bidding {'closes' if passed else 'closed'} at {pair['closes']:%Y-%m-%d %H:%M} UTC."


def _say_bid(_: Facts, passed: bool, __: bool) -> str:
    return "The merchant has no bid on the slot." if passed else "The merchant has a bid on the slot already."


def _say_production(pair: Facts, passed: bool, _: bool) -> str:
    return f"The production window, {pair['window']}, {'is not over' if passed else 'is over'}."


RULES = (
    Rule("category", lambda pair: func.cardinality(pair.excluded) == 0, _say_category),
    Rule("visibility", lambda pair: pair.visible, _say_visibility),
    # A fee that is none is reached by every floor, as is a fee of the very same amount.
    Rule("price", lambda pair: pair.floor >= func.coalesce(pair.fee, 0), _say_price, early=True),
    Rule(
        "availability",
        lambda pair: (
            (pair.state == SlotStatus.AVAILABLE.value)
            | and_(pair.state == SlotStatus.LOCKED.value, pair.auction, ~pair.sold)
        ),
        _say_availability,
        early=True,
    ),
    Rule("bidding", lambda pair: func.coalesce(pair.closes > slots.NOW, True), _say_bidding, early=True),
    Rule("bid", lambda pair: ~pair.has_bid, _say_bid),
    # A window is words. It is over when every year that it names is; one that names none is not judged.
    Rule(
        "production",
        lambda pair: func.coalesce(pair.last_year >= extract("year", slots.NOW), True),
        _say_production,
    ),
)


def offered_to(role: Role) -> ColumnElement[bool]:
    """The SKUs that a reader of a slot may be shown, as far as they tell themselves: a buyer its own."""
    present = Sku.removed_at.is_(None)
    return and_(present, Sku.merchant_id == slots.ACTOR) if role in BUYERS else present


def shown_to(role: Role) -> ColumnElement[bool]:
    """Whether the SKUs of `Merchant` are shown to a reader of a slot: to others, where it allows matching."""
    return and_(Merchant.is_active, true() if role in BUYERS else Merchant.allow_matching)
