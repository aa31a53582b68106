"""The cursors of a sort."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backend.core.errors import Invalid
from backend.core.ids import new_id
from backend.core.paging import Page, Sort
from backend.models.slots import Slot

FLOOR = Sort("pricingFloor", Slot.pricing_floor, Slot.id, descending=False)
NEWEST = Sort("-createdAt", Slot.created_at, Slot.id, descending=True)


@pytest.mark.parametrize("sort", [FLOOR, NEWEST])
def test_a_cursor_comes_back_as_it_went(sort: Sort) -> None:
    key: Any = Decimal("100.00") if sort is FLOOR else datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)
    row_id = new_id()
    row: Any = {"_sort": key}
    binds = sort.binds(Page(10, sort.cursor(row, row_id)))
    assert binds == {"p_limit": 11, "p_after_key": key, "p_after_id": row_id}


def test_a_cursor_of_another_sort_is_refused() -> None:
    row: Any = {"_sort": 100}
    with pytest.raises(Invalid):
        NEWEST.binds(Page(10, FLOOR.cursor(row, new_id())))
