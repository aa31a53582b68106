"""The lexicon: words for things in scripts, the product category each belongs to, and how such a thing usually appears.

`lexicon.csv` is reviewed by hand. Category names and numbers are those of the IAB Tech Lab's Ad Product Taxonomy 2.0
(licensed CC BY 3.0). Tobacco, weapons, gambling and medicines on prescription are left out on purpose.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.models.slots import SlotType

_FILE = Path(__file__).with_name("lexicon.csv")


@dataclass(frozen=True, slots=True)
class Entry:
    """A word (or a few), its category, and the type of placement it usually makes."""

    words: str
    category: str
    iab_id: str
    type: SlotType


@dataclass(frozen=True, slots=True)
class Hit:
    """Where an entry stands in a text."""

    entry: Entry
    start: int
    end: int


@lru_cache
def entries() -> dict[str, Entry]:
    """Every entry by its words in lower case."""
    with open(_FILE, encoding="utf-8", newline="") as file:
        rows = [
            Entry(row["words"], row["category"], row["iab_id"], SlotType(row["type"])) for row in csv.DictReader(file)
        ]
    return {entry.words: entry for entry in rows}


@lru_cache
def _pattern() -> re.Pattern[str]:
    """Every word of the lexicon as a whole word, longer ones first, with a plural's ending."""
    words = sorted(entries(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, words))})(?:e?s)?(?![\w-])", re.IGNORECASE)


def find(text: str) -> Iterator[Hit]:
    """The entries in a text, from left to right; where words overlap, the longest counts."""
    for match in _pattern().finditer(text):
        yield Hit(entries()[match[1].lower()], match.start(), match.end())
