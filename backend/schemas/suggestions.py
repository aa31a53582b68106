"""Suggestions of slots: what they say, and why."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.core.money import Money
from backend.models.slots import Modality, SlotType, Visibility
from backend.schemas.base import In, Out


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
    """A place in a scene where a product of a category would fit; `slotId` is of the slot that it was made into."""

    id: UUID
    scene: SuggestedScene
    category: CategoryOut
    type: SlotType
    excerpt: str
    evidence: list[EvidenceOut]
    signals: SignalsOut
    floor_band: FloorBand
    slot_id: UUID | None


class SuggestedSlotsIn(In):
    """Which suggestions become slots, and how they are sold. `pricingFloor` left out is the lower end of each band."""

    suggestion_ids: Annotated[list[UUID], Field(min_length=1, max_length=100)]
    modality: Modality = Modality.AUCTION
    visibility: Visibility = Visibility.PUBLIC
    pricing_floor: Money | None = None
