"""What one side of a match says, as the binds of a statement: its words with their points, and their categories."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from backend.services.suggestions import lexicon

PRIOR = 50  # what a shared category is worth in points: half a word that stands in the best place on both sides
_MOST_FINDERS = 100  # words that slots and SKUs are looked up by; all of them count in the score
# Words that say nothing about a product. Numbers and single letters say nothing either.
_STOPS = """
    a about after all also an and any are as at back be been before being both but by can close could day do does
    each ever every few first for from get gets had has have he her here hers him his how if in into is it its just
    last like made make makes many may me more most much must my near never new next no none nor not now of off old
    on once one only or other our ours out over own per put scene scenes second set shall she should so some still
    such take takes than that the their them then there these they this those three through time to too take two
    under until up upon us use used very was we were what when where which while who whom whose why will with
    without would yet you your
"""
_EMPTY = frozenset(_STOPS.split())
# What people call several categories at once.
_FAMILIES = {"Alcohol": ("Beer", "Spirits", "Wine")}


@dataclass(frozen=True, slots=True)
class _Thing:
    """An entry of the lexicon as words: each part in the forms it may take."""

    category: str
    parts: tuple[tuple[str, ...], ...]


@cache
def _things() -> Mapping[str, list[_Thing]]:
    """The lexicon by category, families too. The last word of an entry may stand in the plural."""
    found: dict[str, list[_Thing]] = defaultdict(list)
    for entry in lexicon.entries().values():
        *others, last = re.findall(r"[^\W_]+", entry.words.lower())
        parts = (*((word,) for word in others), (last, f"{last}s", f"{last}es"))
        families = [family for family, members in _FAMILIES.items() if entry.category in members]
        for category in (entry.category, *families):
            found[category].append(_Thing(category, parts))
    return found


@cache
def _uses() -> Mapping[str, list[tuple[_Thing, int]]]:
    """The lexicon by word: of which things it is which part."""
    found: dict[str, list[tuple[_Thing, int]]] = defaultdict(list)
    for things in _things().values():
        for thing in things:
            for part, forms in enumerate(thing.parts):
                for word in forms:
                    found[word].append((thing, part))
    return found


def categories_of(words: Iterable[str]) -> list[str]:
    """The categories that these words speak of: all parts of one of their things are there."""
    there: dict[_Thing, set[int]] = defaultdict(set)
    for word in words:
        for thing, part in _uses().get(word, ()):
            there[thing].add(part)
    return sorted({thing.category for thing, parts in there.items() if len(parts) == len(thing.parts)})


def _called(labels: Iterable[str]) -> list[str]:
    """The categories that go by one of these labels; the rule in SQL judges, this only chooses what it looks at."""
    wanted = {_plain(label) for label in labels}
    if not wanted:
        return []
    return [category for category in _things() if _plain(category) in wanted]


def _plain(label: str) -> str:
    return re.sub(r"s\b", "", re.sub(r"[\W_]+", " ", label.lower())).strip()


def _lines(categories: Iterable[str], common: set[str]) -> Iterator[tuple[str, str, int, int, int, bool]]:
    """Every form of every part of every thing: word, category, thing, part, parts of the thing, in common."""
    for category in categories:
        for number, thing in enumerate(_things()[category]):
            for part, forms in enumerate(thing.parts):
                for word in forms:
                    yield word, category, number, part, len(thing.parts), category in common


def asked(points: Mapping[str, int], excluded: Iterable[str] = ()) -> dict[str, Any]:
    """The binds for one side's words with their points, and for what the lexicon knows of them.

    `excluded` are labels of categories that the other side is to be looked at for, besides.
    """
    common = categories_of(points)
    known = list(_lines(dict.fromkeys([*common, *_called(excluded)]), set(common)))
    counting = {word: each for word, each in points.items() if _tells(word)}
    likely = {line[0]: PRIOR if line[4] == 1 else 0 for line in known if line[5]}
    words = sorted({*counting, *likely}, key=lambda word: (-counting.get(word, 0), -likely.get(word, 0), word))
    columns = list(zip(*known, strict=True)) or [()] * 6
    return {
        "p_words": words,
        "p_points": [counting.get(word, 0) for word in words],
        "p_likely": [likely.get(word, 0) for word in words],
        "p_finds": [place < _MOST_FINDERS for place in range(len(words))],
        "p_categories": common,
        **{
            f"p_known_{name}": list(column)
            for name, column in zip(("words", "categories", "things", "parts", "sizes", "common"), columns, strict=True)
        },
    }


def _tells(word: str) -> bool:
    return len(word) > 1 and not word.isdecimal() and word not in _EMPTY
