"""Slots and their invitees."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.core.money import Money
from backend.models.scenes import SceneStatus
from backend.models.slots import Modality, SlotStatus, SlotType, Visibility
from backend.schemas.base import In, Labels, Moment, Out, Text, absent
from backend.schemas.projects import Demographics


class SlotIn(In):
    """A new slot."""

    project_id: UUID
    scene_ref: Text
    scene_id: UUID | None = None
    description: Text | None = None
    type: SlotType = SlotType.FEATURED
    pricing_floor: Money
    modality: Modality
    visibility: Visibility
    constraints: Labels = []
    excluded_categories: Labels = []
    bidding_closes_at: Moment | None = None


class SlotPatch(In):
    """What may change about a slot; what bidders bid on is frozen while a live bid exists."""

    scene_ref: Text = absent()
    scene_id: UUID | None = absent()
    description: Text | None = absent()
    type: SlotType = absent()
    pricing_floor: Money = absent()
    modality: Modality = absent()
    visibility: Visibility = absent()
    constraints: Labels = absent()
    excluded_categories: Labels = absent()
    bidding_closes_at: Moment | None = absent()


class SlotProject(Out):
    """The project of a slot, in short."""

    id: UUID
    title: str
    genre: str | None
    production_window: str
    demographics: Demographics


class SlotOut(Out):
    """A slot. `sceneStatus` says what the newest draft did to its scene."""

    id: UUID
    project_id: UUID
    creator_id: UUID
    scene_ref: str
    scene_id: UUID | None
    scene_status: SceneStatus | None
    description: str | None
    type: SlotType
    pricing_floor: Decimal
    modality: Modality
    status: SlotStatus
    visibility: Visibility
    constraints: list[str]
    excluded_categories: list[str]
    bidding_closes_at: datetime | None
    project: SlotProject
    created_at: datetime
    updated_at: datetime


class SlotKind(StrEnum):
    """What the `type` filter takes: a type, or a modality's name."""

    BACKGROUND = SlotType.BACKGROUND.value
    FEATURED = SlotType.FEATURED.value
    HANDS_ON = SlotType.HANDS_ON.value
    VERBAL = SlotType.VERBAL.value
    WARDROBE = SlotType.WARDROBE.value
    SIGNAGE = SlotType.SIGNAGE.value
    PLOT = SlotType.PLOT.value
    AUCTION = Modality.AUCTION.value
    RESERVATION = Modality.RESERVATION.value


class SlotSort(StrEnum):
    """How a list of slots may be sorted."""

    OLDEST = "createdAt"
    NEWEST = "-createdAt"
    CHEAPEST = "pricingFloor"
    DEAREST = "-pricingFloor"


class InviteesIn(In):
    """Everyone who may see a Private slot."""

    user_ids: Annotated[list[UUID], Field(max_length=1000)]


class InviteesOut(Out):
    """Everyone who may see a Private slot."""

    user_ids: list[UUID]
