"""From elements to scenes: where each stands, how long it is, and who speaks in it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from .elements import Element, Kind
from .headings import take_apart

LINES_PER_PAGE = 54
EIGHTH_SECONDS = 7.5  # a page is a minute
EXCERPT = 600
MOST_HEADING = 500
MOST_NUMBER = 50
MOST_CHARACTERS = 200
# The usual columns of a screenplay in Courier 12, and the blank lines before each kind.
_WIDTH = {
    Kind.HEADING: 60,
    Kind.ACTION: 60,
    Kind.CHARACTER: 38,
    Kind.PARENTHETICAL: 25,
    Kind.DIALOGUE: 35,
    Kind.TRANSITION: 20,
}
_BEFORE = {Kind.HEADING: 2, Kind.ACTION: 1, Kind.CHARACTER: 1, Kind.TRANSITION: 1}
_EXTENSION = re.compile(r"\s*\([^)]*\)?")


@dataclass(slots=True)
class Scene:
    """One scene. `page` counts from 1; `eighths` are of a page; `text` is what stands below the heading."""

    number: str | None
    heading: str
    setting: str | None
    location: str
    time_of_day: str | None
    page: int
    eighths: int
    characters: list[str]
    paragraphs: list[tuple[str, str]] = field(default_factory=list)

    @property
    def estimated_seconds(self) -> int:
        """About how long it runs on the screen."""
        return round(self.eighths * EIGHTH_SECONDS)

    @property
    def text(self) -> str:
        """What stands below the heading, a line for each paragraph."""
        return "\n".join(words for _, words in self.paragraphs)

    @property
    def excerpt(self) -> str:
        """The beginning, cut at a word."""
        if len(self.text) <= EXCERPT:
            return self.text
        cut = self.text[:EXCERPT]
        return (cut.rsplit(None, 1)[0] if len(cut.split()) > 1 else cut) + " …"

    def values(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self) | {"excerpt": self.excerpt, "estimated_seconds": self.estimated_seconds}


def split(elements: Iterable[Element]) -> list[Scene]:
    """The scenes in order. What stands before the first heading belongs to none."""
    placed = list(_placed(elements))
    scenes: list[Scene] = []
    starts: list[float] = []
    said: list[int | None] = []
    for position, element in placed:
        if element.kind is Kind.HEADING:
            scenes.append(_scene(element, position))
            starts.append(position)
            said.append(element.eighths)
        elif scenes:
            _add(scenes[-1], element)
    end = placed[-1][0] + _height(placed[-1][1]) / LINES_PER_PAGE if placed else 0.0
    for index, scene in enumerate(scenes):
        following = starts[index + 1] if index + 1 < len(starts) else end
        scene.eighths = said[index] or max(1, math.ceil(round((following - starts[index]) * 8, 6)))
    return scenes


def _scene(element: Element, position: float) -> Scene:
    heading = element.text[:MOST_HEADING]
    parts = take_apart(heading)
    page = element.page or int(position) + 1
    number = element.number[:MOST_NUMBER] if element.number else None
    return Scene(number, heading, parts.setting, parts.location, parts.time_of_day, page, 1, [])


def _add(scene: Scene, element: Element) -> None:
    if element.kind is Kind.PAGE_BREAK:
        return
    scene.paragraphs.append((element.kind.value, element.text))
    if element.kind is Kind.CHARACTER:
        name = speaker(element.text)
        if name and name not in scene.characters and len(scene.characters) < MOST_CHARACTERS:
            scene.characters.append(name)


def speaker(cue: str) -> str:
    """Who speaks: the cue without `(V.O.)`, `(CONT'D)` and the like."""
    return " ".join(_EXTENSION.sub(" ", cue).split()).strip(" ^:*")


def _height(element: Element) -> int:
    """Lines on the page, the blank ones before it left out."""
    width = _WIDTH.get(element.kind, 60)
    return sum(max(1, math.ceil(len(line) / width)) for line in element.text.split("\n"))


def _placed(elements: Iterable[Element]) -> Iterator[tuple[float, Element]]:
    """Each element with where it starts, in pages from 0.0: as the file says, else as the usual layout has it."""
    line, pages = 0, 0
    for element in elements:
        if element.position is not None:
            yield element.position, element
            continue
        if element.kind is Kind.PAGE_BREAK:
            pages, line = pages + 1, 0
            yield float(pages), element
            continue
        before = _BEFORE.get(element.kind, 0) if line else 0
        height = _height(element)
        # A heading or a cue is not left alone at the foot of a page.
        needs = height + (2 if element.kind in (Kind.HEADING, Kind.CHARACTER) else 0)
        if line and line + before + min(needs, LINES_PER_PAGE) > LINES_PER_PAGE:
            pages, line, before = pages + 1, 0, 0
        line += before
        if element.page is not None and element.kind is Kind.HEADING and element.page - 1 > pages:
            pages, line = element.page - 1, 0
        yield pages + line / LINES_PER_PAGE, element
        line += height
        while line > LINES_PER_PAGE:
            pages, line = pages + 1, line - LINES_PER_PAGE
