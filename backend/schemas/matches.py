"""Matches of SKUs and slots: what they share, and the verdict of every rule."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import Field

from backend.schemas.base import Out
from backend.schemas.slots import SlotOut


class MatchRule(StrEnum):
    """The hard rules, in the order in which they are told."""

    CATEGORY = "category"
    VISIBILITY = "visibility"
    PRICE = "price"
    AVAILABILITY = "availability"
    BIDDING = "bidding"
    BID = "bid"
    PRODUCTION = "production"


class VerdictOut(Out):
    """Whether a pair keeps a rule, in a sentence."""

    rule: MatchRule
    passed: bool
    detail: str


class MatchBase(Out):
    """Why a SKU and a slot fit."""

    score: Decimal = Field(
        description="For each word in common the weight of its place in the slot times that of its place in the SKU "
        "(1, 0.4, 0.2, 0.1), and 0.5 for a category in common."
    )
    matched: list[str] = Field(description="The words in common, those that count most first.")
    categories: list[str] = Field(description="The product categories that both speak of.")
    rules: list[VerdictOut]


class SlotMatchOut(MatchBase):
    """A slot that fits a SKU."""

    slot: SlotOut


class MatchedSku(Out):
    """A SKU as the creator of a slot is shown it."""

    id: UUID
    merchant_id: UUID
    title: str
    price: Decimal
    tags: list[str]
    image_url: str | None


class SkuMatchOut(MatchBase):
    """A SKU that fits a slot."""

    sku: MatchedSku
