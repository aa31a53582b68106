"""Money: `Decimal` with two places, one currency for an installation."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

MAX = Decimal("999999999999.99")  # NUMERIC(14,2)


def must_be_number(value: object) -> object:
    """Take a JSON number; a string or a boolean is not one. A float's shortest form is what was written."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004 pydantic wants it
    return Decimal(str(value)) if isinstance(value, float) else value


# The bounds stand before the validator, nearest to Decimal: there pydantic-core checks them itself.
_TWO_PLACES = {"type": "number", "multipleOf": 0.01, "maximum": float(MAX)}


Money = Annotated[
    Decimal,
    Field(ge=0, le=MAX, max_digits=14, decimal_places=2, allow_inf_nan=False),
    BeforeValidator(must_be_number),
    WithJsonSchema({**_TWO_PLACES, "minimum": 0}),
]
PositiveMoney = Annotated[
    Decimal,
    Field(gt=0, le=MAX, max_digits=14, decimal_places=2, allow_inf_nan=False),
    BeforeValidator(must_be_number),
    WithJsonSchema({**_TWO_PLACES, "exclusiveMinimum": 0}),
]


def written_out(amount: Decimal, currency: str) -> str:
    """The amount as a person writes it: `USD 1,500.00`."""
    return f"{currency} {amount:,.2f}"
