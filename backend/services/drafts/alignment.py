"""A new draft against the one before it, scene by scene. No database.

Two scenes are the same one when their heading, their number or most of their words agree; each scene has one partner
at the most, the likeliest first. Partners in the same order are *kept* (or *changed*, when the words differ); partners
that changed places are *moved*. What has no partner is *new* or *omitted*.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
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
    together = len(one.pairs | other.pairs)
    return len(one.pairs & other.pairs) / together if together else 1.0


def _partners(before: Sequence[Part], after: Sequence[Part]) -> dict[int, tuple[int, float]]:
    """For each scene after, its partner before with their similarity; the likeliest pairs are taken first."""
    candidates: list[tuple[float, int, int, int, float]] = []
    for new, scene in enumerate(after):
        for old, former in enumerate(before):
            similarity = _similarity(former, scene)
            same_number = former.number is not None and former.number == scene.number
            score = _SAME_HEADING * (former.title == scene.title) + _SAME_NUMBER * same_number + _WORDS * similarity
            if score >= _LEAST:
                candidates.append((score, -abs(old - new), new, old, similarity))
    candidates.sort(reverse=True)
    partners: dict[int, tuple[int, float]] = {}
    taken: set[int] = set()
    for _, _, new, old, similarity in candidates:
        if new not in partners and old not in taken:
            partners[new] = (old, similarity)
            taken.add(old)
    return partners


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
