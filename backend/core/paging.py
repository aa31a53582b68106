"""Keyset pages: an opaque cursor names the last row of a page by its sort value and id."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from asyncpg import Record
from sqlalchemy import ColumnElement, DateTime, Select, Subquery, bindparam, select, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute

from backend.core.errors import Invalid
from backend.core.shapes import Reply, Shape, encode

MAX_LIMIT = 1000
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Page:
    """What a caller asks of a list: how many rows, and after which."""

    limit: int = MAX_LIMIT
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """A closed sort of a list: by `column` (a time or money), then by `id`, in one direction."""

    name: str
    column: InstrumentedAttribute[Any] | ColumnElement[Any]
    id: InstrumentedAttribute[UUID] | ColumnElement[UUID]
    descending: bool

    @property
    def _full_name(self) -> str:
        """The list and its order: a cursor of another is not taken."""
        table: Any = self.column.expression.table
        return f"{table.name} {self.name}"

    def _order(self, *columns: Any) -> list[Any]:
        return [column.desc() if self.descending else column.asc() for column in columns]

    def apply(self, statement: Select[Any], *, after: bool, limit: str = "p_limit") -> Select[Any]:
        """Order and bound the statement; binds are `p_after_key`, `p_after_id` and the limit."""
        if after:
            here = tuple_(self.column, self.id)
            there = tuple_(
                bindparam("p_after_key", type_=self.column.type), bindparam("p_after_id", type_=self.id.type)
            )
            statement = statement.where(here < there if self.descending else here > there)
        ordered = statement.add_columns(self.column.label("_sort")).order_by(*self._order(self.column, self.id))
        return ordered.limit(bindparam(limit))

    def first_of(self, statement: Select[Any], page: Subquery, limit: str = "p_limit") -> Select[Any]:
        """The first of a statement over the rows of `page`, which has the columns `_sort` and `id`."""
        return statement.order_by(*self._order(page.c["_sort"], page.c["id"])).limit(bindparam(limit))

    def look_up(self, shown: Select[Any], page: Select[Any]) -> Select[Any]:
        """What is shown of a page of ids, which was bounded before anything is joined to it."""
        found = page.subquery("page")
        return self.first_of(shown.join(found, found.c["id"] == self.id).add_columns(found.c["_sort"]), found)

    def merge(self, parts: Sequence[Select[Any]], limit: str = "p_limit") -> Select[Any]:
        """One page of several statements that `apply` bounded and that share no row; their id is labelled `id`."""
        if len(parts) == 1:
            return parts[0]
        rows = union_all(*parts).subquery()
        return self.first_of(select(rows), rows, limit)

    def binds(self, page: Page) -> dict[str, Any]:
        """The binds that `apply` needs. Raises Invalid (422) for a cursor that this list did not give."""
        binds: dict[str, Any] = {"p_limit": page.limit + 1}
        if page.cursor is not None:
            try:
                name, key, row_id = msgspec.json.decode(
                    base64.urlsafe_b64decode(page.cursor), type=tuple[str, str, UUID]
                )
                if name != self._full_name:
                    raise ValueError("another sort")
                binds["p_after_key"] = self._key(key)
                binds["p_after_id"] = row_id
            except (ValueError, ArithmeticError, binascii.Error, msgspec.MsgspecError):
                raise Invalid.field("cursor", "is not a cursor of this list") from None
        return binds

    def _key(self, text: str) -> datetime | Decimal:
        """The sort value in a cursor. Raises ValueError or ArithmeticError for one that no row can have."""
        if isinstance(self.column.type, DateTime):
            moment = datetime.fromisoformat(text).astimezone(UTC)
            if moment.isoformat() != text:
                raise ValueError("not as this list writes it")
            return moment
        amount = Decimal(text)
        if amount != amount.quantize(Decimal("0.01")):
            raise ValueError("not an amount")
        return amount

    def cursor(self, row: Record, row_id: UUID) -> str:
        """The cursor that continues after this row."""
        key = row["_sort"]
        text = key.isoformat() if isinstance(key, datetime) else str(key)
        return base64.urlsafe_b64encode(encode((self._full_name, text, row_id))).decode()


def reply_page(rows: Sequence[Record], page: Page, sort: Sort, shape: Shape[V], view: V) -> Reply:
    """A page of rows as a plain JSON array; one row more than asked means that there is a next page."""
    shown = rows[: page.limit]
    body = encode([shape.value(row, view) for row in shown])
    more = len(rows) > page.limit
    return Reply(body, next_cursor=sort.cursor(shown[-1], shown[-1]["id"]) if more else None)
