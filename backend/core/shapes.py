"""Rows become JSON here and nowhere else.

A `Shape` is built from an output schema: its select list (`columns`) and its way from a row to the JSON value come from
the same fields and aliases, so the two cannot differ. `encode` makes the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from asyncpg import Record
from pydantic import BaseModel
from sqlalchemy import ColumnElement, SQLColumnExpression

from backend.core.errors import StaleVersion

V = TypeVar("V")
Derive = Callable[[Record, V], Any]
Columns = Mapping[str, Any]

_encoder = msgspec.json.Encoder(decimal_format="number", uuid_format="canonical")


def encode(value: Any) -> bytes:
    """JSON bytes: ids canonical, times RFC 3339 in UTC, money a number with its two places."""
    return _encoder.encode(value)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answers with: the bytes, and the headers that belong to them."""

    body: bytes
    etag: str | None = None
    next_cursor: str | None = None


def _tag(stable: bytes) -> str:
    return f'"{hashlib.blake2b(stable, digest_size=12).hexdigest()}"'


def etag_of(value: Mapping[str, Any], *leave_out: str) -> str:
    """A strong ETag over the whole representation, less the fields that change by themselves."""
    return _tag(encode({key: each for key, each in value.items() if key not in leave_out}))


def whole(value: Mapping[str, Any], *leave_out: str) -> Reply:
    """A ready JSON value as a reply with its ETag."""
    body = encode(value)
    return Reply(body, etag=etag_of(value, *leave_out) if leave_out else _tag(body))


class IfMatch:
    """The `If-Match` header of a change, or its absence."""

    def __init__(self, value: str | None) -> None:
        self._tags = None if value is None or value.strip() == "*" else [each.strip() for each in value.split(",")]

    @property
    def given(self) -> bool:
        """Whether there is a version to compare with."""
        return self._tags is not None

    def must_allow(self, etag: str | None) -> None:
        """Raises StaleVersion when the caller's version is not the current one."""
        if self._tags is not None and etag not in self._tags:
            raise StaleVersion("This has changed since you read it; read it again and repeat your change.")


class Shape(Generic[V]):
    """How rows of one kind become JSON values of one schema.

    `columns` maps each stored field to its SQL expression (nested schemas to nested mappings); `derived` maps the
    others to a function of the row and the view (who reads, and when); `extra` columns are there for those functions
    alone. A field that is in neither, or in both, is an error at import.
    """

    def __init__(
        self,
        model: type[BaseModel],
        columns: Columns,
        *,
        derived: Mapping[str, Derive[V]] | None = None,
        extra: Mapping[str, SQLColumnExpression[Any]] | None = None,
    ) -> None:
        self.model = model
        self.columns: list[ColumnElement[Any]] = []
        plan = self._read(model, columns, set(derived or {}), prefix="")
        self.value = _compiled(plan, {_alias(model, field): make for field, make in (derived or {}).items()})
        self.columns += [column.label(f"_{name}") for name, column in (extra or {}).items()]

    def _read(self, model: type[BaseModel], columns: Columns, derived: set[str], prefix: str) -> list[tuple[str, Any]]:
        unknown = set(columns) - set(model.model_fields)
        doubled = derived & set(columns)
        missing = set(model.model_fields) - set(columns) - derived
        if unknown or doubled or missing:
            raise TypeError(f"{model.__name__}: unknown {unknown}, given twice {doubled}, missing {missing}")
        plan: list[tuple[str, Any]] = []
        for field, info in model.model_fields.items():
            alias = _alias(model, field)
            if field in derived:
                plan.append((alias, None))
            elif isinstance(columns[field], Mapping):
                nested = info.annotation
                assert isinstance(nested, type)
                assert issubclass(nested, BaseModel)
                plan.append((alias, self._read(nested, columns[field], set(), f"{prefix}{alias}.")))
            else:
                label = f"{prefix}{alias}"
                self.columns.append(columns[field].label(label))
                plan.append((alias, label))
        return plan

    def reply(self, row: Record, view: V, *, volatile: tuple[str, ...] = ()) -> Reply:
        """One row as a reply with its ETag; `volatile` aliases do not count in it."""
        return whole(self.value(row, view), *volatile)


def _compiled(plan: list[tuple[str, Any]], derived: Mapping[str, Derive[V]]) -> Callable[[Record, V], dict[str, Any]]:
    """One row as a JSON value, ready for `encode`.

    The plan becomes one dict display, as a person would write it: a list is four times as quick as by walking the plan
    at every row. Its names are those of our own schemas.
    """
    value: Callable[[Record, V], dict[str, Any]] = eval(f"lambda row, view: {_display(plan)}", {"derived": derived})  # noqa: S307
    return value


def _display(plan: list[tuple[str, Any]]) -> str:
    def source(alias: str, source: Any) -> str:
        if source is None:
            return f"derived[{alias!r}](row, view)"
        return f"row[{source!r}]" if isinstance(source, str) else _display(source)

    return "{" + ", ".join(f"{alias!r}: {source(alias, each)}" for alias, each in plan) + "}"


def _alias(model: type[BaseModel], field: str) -> str:
    return model.model_fields[field].alias or field
