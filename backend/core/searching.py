"""Searching by words: what `q` means on every list (decision 71)."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, literal_column

_NOTHING: Any = literal_column("''")
ASKED: Any = func.to_tsquery(literal_column("'simple'"), bindparam("p_q"))


def says(first: Any, second: Any = _NOTHING) -> ColumnElement[bool]:
    """Whether two texts together say every word that was asked for; an index of these very texts finds them.

    Bind: `p_q`, of `words`.
    """
    found: ColumnElement[bool] = func.search_words(first, second).op("@@", is_comparison=True)(ASKED)
    return found


def words(text: str) -> str:
    """The tsquery that asks for every word of a text, the last as the beginning of one; nothing for a text without."""
    asked = " & ".join(f"'{word}'" for word in re.findall(r"[^\W_]+", text))
    return f"{asked}:*" if asked else ""
