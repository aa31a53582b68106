"""What every table shares: the metadata with its naming convention, and short ways to say a column or a check."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKeyConstraint, MetaData, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeEngine

Money = Numeric(14, 2)
Timestamp = DateTime(timezone=True)

TEXT_LIMIT = 4000  # api.md: free text is 1–4000 characters


class Base(DeclarativeBase):
    """The declarative base. Columns are named in snake_case; the JSON names are the schemas' affair."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, TypeEngine[Any]]] = {
        str: Text(),
        UUID: Uuid(),
        datetime: Timestamp,
        Decimal: Money,
        list[str]: ARRAY(Text()),
    }


def one_of(column: str, values: type[StrEnum]) -> CheckConstraint:
    """A closed set, enforced by the table."""
    allowed = ", ".join(f"'{value.value}'" for value in values)
    return CheckConstraint(f"{column} IN ({allowed})", name=f"{column}_known")


def text_length(column: str, most: int = TEXT_LIMIT) -> CheckConstraint:
    """Free text with something in it, up to `most` characters."""
    return CheckConstraint(f"char_length({column}) BETWEEN 1 AND {most}", name=f"{column}_length")


def scene_has_status() -> CheckConstraint:
    """Who names a scene knows what became of it (`scene_id`, `scene_status`)."""
    return CheckConstraint("(scene_id IS NULL) = (scene_status IS NULL)", name="scene_has_status")


def points_at(columns: str, table: str, targets: str, *, name: str, deferred: bool = True) -> ForeignKeyConstraint:
    """A composite foreign key, checked at COMMIT because the rows it ties change together.

    `columns` and `targets` are blank-separated names.
    """
    return ForeignKeyConstraint(
        columns.split(),
        [f"{table}.{target}" for target in targets.split()],
        name=name,
        deferrable=deferred or None,
        initially="DEFERRED" if deferred else None,
        use_alter=deferred,
    )
