"""How well scripts are read: each against its truth, scene by scene, as a table."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher

from backend.integrations.screenplays import Scene as Read
from backend.integrations.screenplays import read_scenes
from tests.screenplays.truth import Scene, files

COLUMNS = (
    "script",
    "scenes",
    "found",
    "wrongly found",
    "numbers",
    "places and times",
    "characters",
    "pages, where told",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One script's line of the table."""

    name: str
    scenes: int
    found: int
    false: int
    numbers: int
    places: int
    characters: int
    pages: int
    told_pages: int

    @property
    def perfect(self) -> bool:
        """Whether nothing is missed, nothing invented and nothing wrong."""
        counts = (self.found, self.numbers, self.places, self.characters)
        return set(counts) == {self.scenes} and self.false == 0 and self.pages == self.told_pages

    def __str__(self) -> str:
        pages = f"{self.pages} of {self.told_pages}" if self.told_pages else "–"
        return (
            f"| {self.name} | {self.scenes} | {self.found} | {self.false} | {self.numbers} | {self.places}"
            f" | {self.characters} | {pages} |"
        )


def measure(name: str, content: bytes, extension: str, told: list[Scene]) -> Row:
    """A script as it is read, against what is true of it. Scenes are partners when their headings are the same."""
    read = read_scenes(io.BytesIO(content), extension)
    blocks = SequenceMatcher(
        None, [scene.heading for scene in told], [scene.heading for scene in read], autojunk=False
    ).get_matching_blocks()
    pairs = [(told[a + place], read[b + place]) for a, b, size in blocks for place in range(size)]
    paged = [pair for pair in pairs if pair[0].page is not ...]

    def count(right: Callable[[Scene, Read], bool]) -> int:
        return sum(right(*pair) for pair in pairs)

    return Row(
        name=name,
        scenes=len(told),
        found=len(pairs),
        false=len(read) - len(pairs),
        numbers=count(lambda true, got: true.number == got.number),
        places=count(
            lambda true, got: all(
                getattr(true, part) in (..., getattr(got, part)) for part in ("setting", "location", "time_of_day")
            )
        ),
        characters=count(lambda true, got: true.characters == got.characters),
        pages=sum(true.page == got.page for true, got in paged),
        told_pages=sum(scene.page is not ... for scene in told),
    )


def rows() -> list[Row]:
    """Every script's line."""
    return [measure(name, *script) for name, script in files().items()]


def table(lines: list[Row]) -> str:
    """The table in Markdown."""
    head = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    return "\n".join([*head, *map(str, lines)]) + "\n"
