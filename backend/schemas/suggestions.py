"""Suggestions of slots: what they say, and why."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backend.models.slots import SlotType
from backend.schemas.base import Out


class SuggestedScene(Out):
    """The scene of a suggestion, in short."""

    id: UUID
    number: str | None
    heading: str
    page: int


class CategoryOut(Out):
    """A product category of the IAB Tech Lab's Ad Product Taxonomy 2.0."""

    name: str
    iab_id: str


class EvidenceOut(Out):
    """Words that say so: `excerpt[start:end]`, and in what part of the scene they stand."""

    text: str
    start: int
    end: int
    where: str


class SignalsOut(Out):
    """How prominent the thing would be. `pageShare` is in pages; an unnamed hand in `touchedBy` is `?`."""

    mentions: int
    in_dialogue: bool
    touched_by: list[str]
    page_share: float


class FloorBand(Out):
    """A suggested floor, from its lower to its upper end, and how it was reckoned."""

    low: Decimal
    high: Decimal
    formula: str


class SuggestionOut(Out):
    """A place in a scene where a product of a category would fit."""

    id: UUID
    scene: SuggestedScene
    category: CategoryOut
    type: SlotType
    excerpt: str
    evidence: list[EvidenceOut]
    signals: SignalsOut
    floor_band: FloorBand
