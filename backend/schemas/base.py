"""What every schema shares: camelCase outside, unknown fields refused coming in, every field there going out."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

T = TypeVar("T")

EARLIEST, LATEST = 1900, 3000


class In(BaseModel):
    """A body that comes in."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_alias=True, validate_by_name=False, extra="forbid", frozen=True
    )


class Out(BaseModel):
    """A body that goes out. It has no defaults: every field is always there."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Document a Decimal as the JSON number it goes out as (core.shapes), not as pydantic's text."""
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for name, info in cls.model_fields.items():
            if info.annotation is Decimal:
                properties[info.alias or name] = {"type": "number"}
            elif Decimal in get_args(info.annotation):
                properties[info.alias or name] = {"anyOf": [{"type": "number"}, {"type": "null"}]}
        return described


def _absent() -> Any:
    return None


def absent(**more: Any) -> Any:
    """A field of a PATCH that may be left out; `model_fields_set` tells. Null is taken only where its type says so."""
    return Field(default_factory=_absent, **more)


def _no_nul(value: str) -> str:
    """PostgreSQL keeps no NUL in text."""
    if "\x00" in value:
        raise ValueError("must not contain the character NUL")
    return value


# What the validators ask, as the documentation says it: pydantic tells patterns only when it is to match them itself.
NO_NUL = (AfterValidator(_no_nul), Field(json_schema_extra={"pattern": r"^[^\u0000]*$"}))
_WORDED = (AfterValidator(_no_nul), Field(json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}))


_DATE_FIRST = re.compile(r"\s*\d{4}-\d{2}-\d{2}")


def _text(value: Any) -> Any:
    """Times come as text; a bare number is not one."""
    if not (isinstance(value, datetime) or (isinstance(value, str) and _DATE_FIRST.match(value))):
        raise ValueError("must be a time in RFC 3339, like 2026-11-20T12:00:00Z")
    return value


def _sane_year(value: datetime) -> datetime:
    if not EARLIEST <= value.year < LATEST:
        raise ValueError(f"must lie between the years {EARLIEST} and {LATEST}")
    return value


def _distinct(values: list[T]) -> list[T]:
    return list(dict.fromkeys(values))


def _trimmed(most: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=most)


Text = Annotated[str, _trimmed(4000), *_WORDED]
ShortText = Annotated[str, _trimmed(200), *_WORDED]
Label = Annotated[str, _trimmed(100), *_WORDED]
Labels = Annotated[list[Label], Field(max_length=50), AfterValidator(_distinct)]
# Control characters and white space, one by one: what `\s` is differs between us and those who read the schema.
_BLANK = r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
Url = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=2048, pattern=f"^https?://[^{_BLANK}/$.?#][^{_BLANK}]*$"
    ),
]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_text),
    AfterValidator(_sane_year),
    Field(json_schema_extra={"pattern": r"^(19|2[0-9])[0-9]{2}-"}),
]
