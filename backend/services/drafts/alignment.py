"""A new draft against the one before it, scene by scene. No database.

Two scenes are the same one when their heading, their number or most of their words agree; each scene has one partner
at the most, the likeliest first: a scene of the very same words before all others. Partners in the same order are
*kept* (or *changed*, when the words differ); partners that changed places are *moved*. What has no partner is *new* or
*omitted*.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from uuid import UUID

from backend.schemas.drafts import SceneChange as Change


@dataclass(frozen=True)
class Part:
    """A scene as the alignment reads it."""

    id: UUID
    number: str | None
    heading: str
    text: str

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Neighbouring words, letter case and punctuation aside: what similarity is measured by."""
        words = ["", *re.findall(r"\w+", f"{self.heading} {self.text}".casefold()), ""]
        return frozenset(pairwise(words))

    @cached_property
    def title(self) -> str:
        """The heading, letter case and spacing aside."""
        return " ".join(self.heading.casefold().split())


@dataclass(frozen=True, slots=True)
class Pairing:
    """One line of the comparison: a scene before, its partner after, or one of them. `similarity` is 0–1."""

    change: Change
    before: Part | None
    after: Part | None
    similarity: float


_SAME_HEADING = 0.3
_SAME_NUMBER = 0.1
_WORDS = 0.6
_LEAST = 0.4  # a heading alone is too little: places recur
_IDENTICAL = 0.999
_FEW = 20  # as many scenes are compared for each reason
_MOST_COMPARED = 50_000


def align(before: Sequence[Part], after: Sequence[Part]) -> list[Pairing]:
    """Every scene of both drafts once, in the order of the new draft, omitted ones where they stood."""
    partners = _partners(before, after)
    in_order = _longest_run([partners[index][0] for index in sorted(partners)])
    lines: list[Pairing] = []
    written = 0
    matched = {old for old, _ in partners.values()}
    for index, scene in enumerate(after):
        if index not in partners:
            lines.append(Pairing(Change.NEW, None, scene, 0.0))
            continue
        old, similarity = partners[index]
        if old in in_order:
            lines += _omitted(before[written:old], written, matched)
            written = max(written, old + 1)
        lines.append(Pairing(_change(old in in_order, similarity), before[old], scene, round(similarity, 3)))
    return lines + _omitted(before[written:], written, matched)


def _omitted(scenes: Sequence[Part], start: int, matched: set[int]) -> list[Pairing]:
    return [
        Pairing(Change.OMITTED, scene, None, 0.0)
        for position, scene in enumerate(scenes, start)
        if position not in matched
    ]


def _change(in_order: bool, similarity: float) -> Change:
    if similarity < _IDENTICAL:
        return Change.CHANGED
    return Change.KEPT if in_order else Change.MOVED


def _similarity(one: Part, other: Part) -> float:
    """The share of neighbouring words that the two have in common."""
    common = len(one.pairs & other.pairs)
    return common / (len(one.pairs) + len(other.pairs) - common)


def _partners(before: Sequence[Part], after: Sequence[Part]) -> dict[int, tuple[int, float]]:
    """For each scene after, its partner before with their similarity.

    What is the same in every word comes first, then the likeliest pairs of the rest.
    """
    partners: dict[int, tuple[int, float]] = {}
    for same in (lambda part: (part.number, part.title, part.pairs), lambda part: (part.title, part.pairs)):
        olds, news = _left(before, after, partners)
        found = _by_key(before, olds, same)
        for new in news:
            for twin in _nearest(found.get(same(after[new]), []), new, 1):
                found[same(after[new])].remove(twin)
                partners[new] = (twin, 1.0)
    olds, news = _left(before, after, partners)
    taken: set[int] = set()
    for _, _, new, old, similarity in sorted(_candidates(before, after, olds, news), reverse=True):
        if new not in partners and old not in taken:
            partners[new] = (old, similarity)
            taken.add(old)
    return partners


def _left(
    before: Sequence[Part], after: Sequence[Part], partners: Mapping[int, tuple[int, float]]
) -> tuple[list[int], list[int]]:
    """The places of the scenes before and after that have no partner yet."""
    matched = {old for old, _ in partners.values()}
    return [old for old in range(len(before)) if old not in matched], [
        new for new in range(len(after)) if new not in partners
    ]


def _by_key(parts: Sequence[Part], places: Iterable[int], key: Callable[[Part], Hashable]) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for place in places:
        found.setdefault(key(parts[place]), []).append(place)
    return found


def _nearest(places: Sequence[int], place: int, most: int) -> list[int]:
    """Up to `most` of these places (in order), those around `place`, the nearest first."""
    middle = bisect_left(places, place)
    return sorted(places[max(middle - most, 0) : middle + most], key=lambda each: abs(each - place))[:most]


def _candidates(
    before: Sequence[Part], after: Sequence[Part], olds: Sequence[int], news: Sequence[int]
) -> Iterator[tuple[float, int, int, int, float]]:
    """Pairs that may be partners, with their score, nearness and similarity.

    Not everything is compared with everything: only scenes that share heading, number or words that few others have, a
    few of each, and so many in all. A hostile file costs no more than a long one.
    """
    titles = _by_key(before, olds, lambda part: part.title)
    numbers = _by_key(before, olds, lambda part: part.number)
    with_words: dict[tuple[str, str], list[int]] = {}
    for old in olds:
        for pair in before[old].pairs:
            with_words.setdefault(pair, []).append(old)
    compared = 0
    for new in news:
        scene = after[new]
        shared = Counter(old for pair in scene.pairs if len(found := with_words.get(pair, ())) <= _FEW for old in found)
        alike = [old for old, _ in shared.most_common(_FEW)] + _nearest(titles.get(scene.title, []), new, _FEW)
        if scene.number is not None:
            alike += _nearest(numbers.get(scene.number, []), new, _FEW)
        for old in dict.fromkeys(alike):
            similarity = _similarity(before[old], scene)
            same_number = scene.number is not None and before[old].number == scene.number
            score = (
                _SAME_HEADING * (before[old].title == scene.title) + _SAME_NUMBER * same_number + _WORDS * similarity
            )
            if score >= _LEAST:
                yield score, -abs(old - new), new, old, similarity
        compared += len(alike)
        if compared > _MOST_COMPARED:
            return


def _longest_run(olds: Sequence[int]) -> set[int]:
    """The members of the longest increasing run: the scenes that kept their order."""
    tails: list[int] = []
    ends: list[int] = []
    back: list[int] = []
    for position, old in enumerate(olds):
        place = bisect_left(tails, old)
        if place == len(tails):
            tails.append(old)
            ends.append(position)
        else:
            tails[place], ends[place] = old, position
        back.append(ends[place - 1] if place else -1)
    run: set[int] = set()
    position = ends[-1] if ends else -1
    while position >= 0:
        run.add(olds[position])
        position = back[position]
    return run
