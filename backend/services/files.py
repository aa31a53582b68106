"""Files in storage and the rows that name them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from backend.core.database import Db
from backend.core.statements import Statement
from backend.models.projects import Draft

_NAMED = Statement(
    select(Draft.storage_key).where(Draft.storage_key == func.any(bindparam("p_keys", type_=ARRAY(Text()))))
)
_ALL = Statement(select(Draft.storage_key).order_by(Draft.storage_key))


async def orphans(db: Db, keys: Sequence[str]) -> list[str]:
    """Those of the keys that no row names."""
    named = {row["storage_key"] for row in await _NAMED.rows(db, p_keys=list(keys))}
    return [key for key in keys if key not in named]


async def named(db: Db) -> list[str]:
    """Every key that a row names."""
    return [row["storage_key"] for row in await _ALL.rows(db)]
