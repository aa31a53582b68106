"""JSON that comes in is JSON."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from backend.core.errors import BadRequest, Invalid
from backend.core.parsing import parse_json
from backend.schemas.base import Url


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        ('{"a": [1, 0.1, -0, "é", null, true]}', {"a": [1, Decimal("0.1"), 0, "é", None, True]}),
        (" 1 ", 1),
        ("1e3", 1000),
        ("2.0", 2),
        ("-0.0", 0),
        ("1e39", 10**39),
        ("1e40", Decimal("1e40")),
        ("1e999999999", Decimal("1e999999999")),
        ('"\\ud83d\\ude00"', "😀"),
        ('{"a": {"a": 1}}', {"a": {"a": 1}}),
    ],
)
def test_json_is_taken_exactly(text: str, value: Any) -> None:
    parsed = parse_json(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "text", ["", " ", "{", "{'a': 1}", "[1,]", "nul", "01", "1 2", "[" * 100_000, "\ufeff{}", "{a: 1}"]
)
def test_what_is_no_json_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        parse_json(text)


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "[NaN]", '{"a": 1, "a": 2}', "1" * 41, "0." + "1" * 5000, "1" * 5000]
)
def test_what_json_does_not_have_is_invalid(text: str) -> None:
    with pytest.raises(Invalid):
        parse_json(text)


def test_an_address_has_no_blank_by_any_reader_of_the_schema() -> None:
    """The pattern means the same to ECMAScript, Python and us: it names what it excludes."""
    address: TypeAdapter[str] = TypeAdapter(Url)
    pattern = address.json_schema()["pattern"]
    for number in (*range(0xD800), *range(0xE000, 0x10000)):
        text = f"https://a{chr(number)}b"
        try:
            address.validate_python(text)
        except ValidationError:
            assert unicodedata.category(chr(number)) in {"Cc", "Zs", "Zl", "Zp"} or number == 0xFEFF, hex(number)
            assert re.search(pattern, text) is None
        else:
            assert re.search(pattern, text), hex(number)
