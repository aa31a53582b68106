"""Rows become JSON: a shape cannot differ from its schema."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from backend.core.errors import StaleVersion
from backend.core.shapes import IfMatch, Shape, encode, etag_of
from backend.models.skus import Sku
from backend.schemas.base import Out


class Price(Out):
    """A nested schema."""

    price: Decimal


class Line(Out):
    """A schema of a test."""

    external_id: str | None
    offer: Price
    seen: bool


COLUMNS: dict[str, Any] = {"external_id": Sku.external_id, "offer": {"price": Sku.price}}


def test_a_row_becomes_the_fields_of_the_schema_in_their_order() -> None:
    shape: Shape[bool] = Shape(Line, COLUMNS, derived={"seen": lambda _, view: view})
    row: Any = {"externalId": "A1", "offer.price": Decimal("3.50")}
    assert shape.value(row, True) == {"externalId": "A1", "offer": {"price": Decimal("3.50")}, "seen": True}
    assert encode(shape.value(row, True)) == b'{"externalId":"A1","offer":{"price":3.50},"seen":true}'
    assert [column.name for column in shape.columns] == ["externalId", "offer.price"]


@pytest.mark.parametrize(
    ("columns", "derived"),
    [
        (COLUMNS, {}),
        ({**COLUMNS, "margin": Sku.margin}, {"seen"}),
        ({**COLUMNS, "seen": Sku.title}, {"seen"}),
        ({"external_id": Sku.external_id, "offer": {}}, {"seen"}),
    ],
    ids=["missing", "unknown", "twice", "missing inside"],
)
def test_a_shape_that_differs_from_its_schema_fails_at_import(columns: dict[str, Any], derived: set[str]) -> None:
    with pytest.raises(TypeError):
        Shape(Line, columns, derived={name: lambda _, __: True for name in derived})


def test_money_times_and_ids_are_written_as_the_contract_says() -> None:
    value = [Decimal("1500.00"), datetime(2026, 11, 20, 12, tzinfo=UTC), UUID(int=7), "ü", None]
    assert encode(value).decode() == '[1500.00,"2026-11-20T12:00:00Z","00000000-0000-0000-0000-000000000007","ü",null]'


def test_an_etag_changes_with_what_counts_and_with_nothing_else() -> None:
    one = etag_of({"a": 1, "link": "x"}, "link")
    assert one == etag_of({"a": 1, "link": "y"}, "link")
    assert one != etag_of({"a": 2, "link": "x"}, "link")
    assert one.startswith('"')
    assert one.endswith('"')


def test_if_match_allows_the_current_version_alone() -> None:
    IfMatch(None).must_allow('"a"')
    IfMatch("*").must_allow('"a"')
    IfMatch('"b", "a"').must_allow('"a"')
    for stale in ('"b"', 'W/"a"', "", "a"):
        with pytest.raises(StaleVersion):
            IfMatch(stale).must_allow('"a"')
