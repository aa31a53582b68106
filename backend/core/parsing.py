"""JSON that comes in is JSON: no NaN, no Infinity, no name twice, no number that nothing could hold."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from backend.core.errors import BadRequest, Invalid

_MOST_DIGITS = 40


def parse_json(text: str) -> Any:
    """The value; a number with a fraction is a Decimal, and 2.0 the integer that it is.

    Raises BadRequest (400) for what is not JSON, Invalid (422) for what JSON does not have.
    """
    try:
        return json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=_number,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.", code="malformed_json") from None


def _refuse_constant(name: str) -> None:
    raise Invalid.field("body", f"{name} is not a JSON number")


def _digits(text: str) -> str:
    if len(text) > _MOST_DIGITS:
        raise Invalid.field("body", f"a number has more than {_MOST_DIGITS} characters")
    return text


def _integer(text: str) -> int:
    return int(_digits(text))


def _number(text: str) -> Decimal | int:
    number = Decimal(_digits(text))
    # Not for what is beyond every column: 1e999999 as an integer would have a million digits.
    return int(number) if number.adjusted() < _MOST_DIGITS and number == number.to_integral_value() else number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid.field("body", "a name stands twice in one object")
    return found
