"""What a screenplay is made of, whatever file it came in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The parts of a screenplay that a reader can tell apart."""

    HEADING = "heading"
    ACTION = "action"
    CHARACTER = "character"
    PARENTHETICAL = "parenthetical"
    DIALOGUE = "dialogue"
    TRANSITION = "transition"
    PAGE_BREAK = "page_break"


@dataclass(frozen=True, slots=True)
class Element:
    """One paragraph. `page` and `eighths` are there when the file itself says them; `number` is a scene's.

    `position` is where it starts, in pages from 0.0, when the file has pages.
    """

    kind: Kind
    text: str
    number: str | None = None
    page: int | None = None
    eighths: int | None = None
    position: float | None = None


class UnreadableError(Exception):
    """The file cannot be read as a screenplay; the message is one sentence for its owner."""
