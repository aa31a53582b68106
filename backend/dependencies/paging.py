"""The page and the filters of a list, from the query."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BeforeValidator

from backend.core.paging import MAX_LIMIT, Page


async def page(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many rows at the most.")] = MAX_LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=500, description="Where to go on; take it from the `Link` header.")
    ] = None,
) -> Page:
    """How many rows, and after which."""
    return Page(limit, cursor or None)


def given(**filters: Any) -> dict[str, Any]:
    """The filters that the caller named; enums as the values they are stored under."""
    return {
        name: value.value if isinstance(value, Enum) else value for name, value in filters.items() if value is not None
    }


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


EmptyIsNone = BeforeValidator(_none_if_empty)
Paged = Annotated[Page, Depends(page)]
