"""SKUs."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from backend.core.money import Money, must_be_number
from backend.schemas.base import In, Labels, Out, ShortText, Text, Url, absent

Percentage = Annotated[
    Decimal,
    Field(ge=0, le=100, max_digits=5, decimal_places=2, allow_inf_nan=False),
    BeforeValidator(must_be_number),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100, "multipleOf": 0.01}),
]


class SkuIn(In):
    """A new SKU."""

    title: ShortText
    price: Money
    margin: Percentage
    tags: Labels = []
    description: Text | None = None
    image_url: Url | None = None
    external_id: ShortText | None = None


class SkuPatch(In):
    """What may change about a SKU."""

    title: ShortText = absent()
    price: Money = absent()
    margin: Percentage = absent()
    tags: Labels = absent()
    description: Text | None = absent()
    image_url: Url | None = absent()
    external_id: ShortText | None = absent()


class SkuOut(Out):
    """A SKU."""

    id: UUID
    merchant_id: UUID
    title: str
    price: Decimal
    margin: Decimal
    tags: list[str]
    description: str | None
    image_url: str | None
    external_id: str | None
    created_at: datetime
    updated_at: datetime


class CatalogueOut(Out):
    """What an import did, or with `dryRun` would do."""

    count: int
    created: int
    updated: int


class CatalogueForm(BaseModel):
    """The multipart body of an import (documentation only: the part is streamed)."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[
        str,
        Field(
            json_schema_extra={"format": "binary"},
            description="A CSV file in UTF-8 with a header: title, price, margin, and optionally tags (split by `;`), "
            "description, imageUrl, externalId. The part may also be named `csv`.",
        ),
    ]
