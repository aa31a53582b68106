"""Bids, their terms, and the bodies of what can be done to them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, StrictInt

from backend.core.money import PositiveMoney
from backend.models.bids import CREATOR_REASONS, BidStatus, DeclineReason, Side
from backend.models.scenes import SceneStatus
from backend.models.slots import Modality, SlotStatus, SlotType
from backend.models.users import Role
from backend.schemas.base import In, Out, Text, absent
from backend.schemas.comments import CommentOut

Version = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
SkuIds = Annotated[list[UUID], Field(max_length=100)]

CreatorReason = StrEnum("CreatorReason", {reason.name: reason.value for reason in CREATOR_REASONS})  # type: ignore[misc]
CreatorReason.__doc__ = "Why a creator declines."


class BidIn(In):
    """An offer. `amountTerms` left out is the amount written out."""

    amount: PositiveMoney
    objective: Text
    amount_terms: Text | None = None
    sku_ids: SkuIds = []
    message: Text | None = None


class TermsIn(In):
    """New terms, written against `baseVersion`; fields left out stay. `sceneId` is for the creator: another scene."""

    base_version: Version
    amount: PositiveMoney = absent()
    amount_terms: Text = absent()
    objective: Text = absent()
    sku_ids: SkuIds = absent()
    scene_id: UUID = absent()


class OnBehalfOf(In):
    """For operators: the side they act for, and why. Both parties see the reason."""

    side: Side
    reason: Text


class OnASide(In):
    """A body that may come from an operator acting for a side."""

    on_behalf_of: OnBehalfOf | None = None

    @property
    def side(self) -> Side | None:
        """The side that an operator acts for."""
        return self.on_behalf_of.side if self.on_behalf_of is not None else None

    @property
    def operators_reason(self) -> str | None:
        """Why an operator steps in."""
        return self.on_behalf_of.reason if self.on_behalf_of is not None else None

    @property
    def on_record(self) -> dict[str, Side]:
        """What the event says of it: the side. The reason is free text and becomes a comment."""
        return {"on_behalf_of": self.on_behalf_of.side} if self.on_behalf_of is not None else {}


class ApproveIn(In):
    """A yes; `termsVersion`, when given, must be the current one."""

    terms_version: Version | None = None


class DeclineIn(OnASide):
    """A no, with its reason."""

    reason: CreatorReason
    note: Text | None = None


class WithdrawIn(OnASide):
    """The buyer takes the bid back."""

    note: Text | None = None


class CommitIn(In):
    """The spend; `amount`, when given, must be the approved one."""

    amount: PositiveMoney | None = None


class TermsOut(Out):
    """One version of the terms."""

    version: int
    side: Side
    author_id: UUID
    amount: Decimal
    amount_terms: str
    objective: str
    sku_ids: list[UUID]
    scene_id: UUID | None
    created_at: datetime


class CounterpartyOut(Out):
    """The buyer, whoever reads."""

    id: UUID
    name: str
    role: Role


class BidSku(Out):
    """A SKU named by the terms, in short."""

    id: UUID
    title: str
    price: Decimal
    image_url: str | None


class Approvals(Out):
    """Who has said yes to the current terms."""

    creator: bool
    buyer: bool


class BidSlotProject(Out):
    """The project, in short."""

    id: UUID
    title: str
    genre: str | None


class BidSlot(Out):
    """The slot, in short."""

    id: UUID
    scene_ref: str
    type: SlotType
    modality: Modality
    status: SlotStatus
    pricing_floor: Decimal
    project: BidSlotProject


class BidBase(Out):
    """What the list and the detail of bids share."""

    id: UUID
    slot_id: UUID
    counterparty_id: UUID
    counterparty: CounterpartyOut
    status: BidStatus
    amount: Decimal
    amount_terms: str
    objective: str
    sku_ids: list[UUID]
    skus: list[BidSku]
    terms_version: int
    approvals: Approvals
    holds_slot: bool
    hold_expires_at: datetime | None
    expires_at: datetime
    decline_reason: DeclineReason | None
    allowed_actions: list[str]
    scene_id: UUID | None
    scene_status: SceneStatus | None
    slot: BidSlot
    created_at: datetime
    updated_at: datetime


class BidListed(BidBase):
    """A bid in a list."""

    comment_count: int


class BidOut(BidBase):
    """A bid with its conversation."""

    comments: list[CommentOut]


class BidSort(StrEnum):
    """How a list of bids may be sorted."""

    STALEST = "updatedAt"
    FRESHEST = "-updatedAt"


class Awaiting(StrEnum):
    """Whose turn it is."""

    ME = "me"
