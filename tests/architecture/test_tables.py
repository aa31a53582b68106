"""What every table has: closed sets closed by the database, bounded text, an index for every foreign key."""

from __future__ import annotations

import inspect
import re
from enum import StrEnum

import pytest
from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, String, Table, UniqueConstraint
from sqlalchemy.orm import RelationshipProperty

from backend import models
from backend.models.base import Base

TABLES = list(Base.metadata.tables.values())
each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)

# Text that a person or a program of ours makes in one known form; the reason stands beside each.
UNBOUNDED = {
    "users.password_hash": "made by core.passwords",
    "drafts.storage_key": "a random key of ours",
    "drafts.media_type": "one of three that core.uploads gives",
    "events.action": "a constant of the services",
    "events.status": "copied from a row whose table closes the set",
    "events.request_id": "64 characters of A–Z, 0–9 at the edge",
    "security_events.action": "a constant of ours",
    "security_events.client": "16 digits, by a pattern",
    "security_events.request_id": "128 characters, by a pattern",
    "bids.modality": "tied to the slot's by a foreign key",
    "slots.genre": "copied from the project, which bounds it",
}


def _checks(table: Table) -> list[str]:
    return [str(each.sqltext) for each in table.constraints if isinstance(each, CheckConstraint)]


@each_table
def test_closed_sets_are_closed_by_the_table(table: Table) -> None:
    """Every text column is bounded: by a closed set, by a length, or for a reason."""
    checks = " ".join(_checks(table))
    for column in table.columns:
        if isinstance(column.type, String) and column.computed is None:
            known = re.search(rf"\b{column.name}\b\)? (IN|BETWEEN)", checks)
            assert known or f"{table.name}.{column.name}" in UNBOUNDED, f"{column.name} takes any text"


def _closed_sets() -> list[type[StrEnum]]:
    modules = [module for _, module in inspect.getmembers(models, inspect.ismodule)]
    return [
        each
        for module in modules
        for _, each in inspect.getmembers(module, inspect.isclass)
        if issubclass(each, StrEnum) and each is not StrEnum and each.__module__ == module.__name__
    ]


@pytest.mark.parametrize("closed", _closed_sets(), ids=lambda closed: closed.__name__)
def test_every_closed_set_stands_in_a_check(closed: type[StrEnum]) -> None:
    allowed = "(" + ", ".join(f"'{each.value}'" for each in closed) + ")"
    assert any(allowed in check for table in TABLES for check in _checks(table)), "no table holds this set"


@each_table
def test_every_foreign_key_has_an_index(table: Table) -> None:
    indexed = [[getattr(column, "name", None) for column in index.expressions] for index in table.indexes]
    indexed += [[column.name for column in table.primary_key.columns]]
    indexed += [
        [column.name for column in each.columns] for each in table.constraints if isinstance(each, UniqueConstraint)
    ]
    for key in table.constraints:
        if isinstance(key, ForeignKeyConstraint):
            columns = {column.name for column in key.columns}
            assert any(index[0] in columns for index in indexed), f"{table.name}: no index for {sorted(columns)}"


@each_table
def test_names_follow_the_convention(table: Table) -> None:
    for each in table.constraints:
        assert each.name, f"{table.name}: a constraint without a name"
        assert str(each.name).startswith(("pk_", "uq_", "ck_", "fk_")), each.name
    for index in table.indexes:
        assert str(index.name).startswith(("ix_", "uq_")), index.name
        assert len(str(index.name)) <= 63


@each_table
def test_times_have_a_zone(table: Table) -> None:
    for column in table.columns:
        if isinstance(column.type, DateTime):
            assert column.type.timezone, f"{table.name}.{column.name}"


def test_nothing_is_loaded_behind_the_back() -> None:
    for mapper in Base.registry.mappers:
        for relationship in mapper.relationships:
            assert isinstance(relationship, RelationshipProperty)
            assert relationship.lazy == "raise", f"{mapper.class_.__name__}.{relationship.key}"
