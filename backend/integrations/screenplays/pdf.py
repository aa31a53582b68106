"""PDFs laid out as screenplays: what a line is follows from where it stands on the page.

Only text that the file holds is read. A scan has none, and is said to have none; nothing is guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, BinaryIO

from pypdf import PdfReader
from pypdf.errors import PdfReadError, PyPdfError

from .elements import Element, Kind, UnreadableError
from .headings import is_heading, take_number

MOST_PAGES = 1000
_PAGE_NUMBER = re.compile(r"^(?:page\s+)?(?P<number>\d{1,4})\.?$", re.IGNORECASE)
_CONTINUED = re.compile(r"^\(?(?:CONTINUED|MORE)\)?:?(?:\s*\(\d+\))?$", re.IGNORECASE)
_MARGIN = 0.09  # of the page's height, above and below: page numbers and running heads
_CUE_INDENT = 0.15  # of the page's width, right of the action's margin
_SPEECH_INDENT = 0.06
_BLANK_LINE = 0.025  # of the page's height, at the most
_TRANSITION = re.compile(r"^(?:[A-Z ]+ TO:|FADE (?:IN|OUT)[.:]?|THE END\.?)$")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: its page from 0, where it starts from the left and from the top, as fractions."""

    page: int
    left: float
    top: float
    text: str


def read(content: BinaryIO) -> list[Element]:
    """The elements of a PDF. Raises UnreadableError with the reason."""
    lines = list(_lines(_open(content)))
    if not any(char.isalpha() for line in lines for char in line.text):
        raise UnreadableError("This PDF has no text in it: it looks like a scan. Upload the script as text.")
    offset = _page_offset(lines)
    body = [line for line in lines if not _is_furniture(line)]
    margin = _action_margin(body)
    if margin is None:
        raise UnreadableError("No scene headings (INT., EXT.) were found in this PDF.")
    return list(_elements(body, margin, offset))


def _open(content: BinaryIO) -> PdfReader:
    try:
        reader = PdfReader(content)
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("This PDF is protected by a password. Upload it without one.")
        if len(reader.pages) > MOST_PAGES:
            raise UnreadableError(f"This PDF has more than {MOST_PAGES} pages.")
    except (
        PyPdfError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
        RecursionError,
        NotImplementedError,
    ):
        raise UnreadableError("This PDF is damaged and cannot be read.") from None
    return reader


def _lines(reader: PdfReader) -> Iterator[Line]:
    for number, page in enumerate(reader.pages):
        try:
            yield from _lines_of(number, page)
        except (
            PdfReadError,
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
            RecursionError,
            OverflowError,
        ):
            raise UnreadableError(f"Page {number + 1} of this PDF is damaged and cannot be read.") from None


def _lines_of(number: int, page: Any) -> Iterator[Line]:
    """The lines of a page, top down: pieces of text at the same height belong together."""
    width, height = float(page.mediabox.width) or 612.0, float(page.mediabox.height) or 792.0
    pieces: list[tuple[float, float, str]] = []

    def visit(text: str, matrix: list[float], text_matrix: list[float], *_: Any) -> None:
        if text.strip():
            x = text_matrix[4] * matrix[0] + text_matrix[5] * matrix[2] + matrix[4]
            y = text_matrix[4] * matrix[1] + text_matrix[5] * matrix[3] + matrix[5]
            indent = len(text) - len(text.lstrip())
            pieces.append(
                (round(y - float(page.mediabox.bottom), 1), x - float(page.mediabox.left) + indent * 7.2, text)
            )

    page.extract_text(visitor_text=visit)
    rows: dict[float, list[tuple[float, str]]] = {}
    for y, x, text in pieces:
        height_known = next((known for known in rows if abs(known - y) <= 3), y)
        rows.setdefault(height_known, []).append((x, text))
    for y in sorted(rows, reverse=True):
        row = sorted(rows[y], key=lambda piece: piece[0])
        words = " ".join(" ".join(text for _, text in row).split())
        if words:
            yield Line(number, row[0][0] / width, min(max(1 - y / height, 0.0), 1.0), words)


def _is_furniture(line: Line) -> bool:
    """Page numbers, running heads and CONTINUED marks are the page's, not the script's."""
    at_edge = line.top < _MARGIN or line.top > 1 - _MARGIN
    return bool(_CONTINUED.match(line.text)) or (at_edge and not is_heading(take_number(line.text)[1]))


def _page_offset(lines: list[Line]) -> int:
    """What to take off a page's place in the file to get the number printed on it; 0 when none is printed."""
    offsets = Counter(
        line.page + 1 - int(match["number"])
        for line in lines
        if (line.top < _MARGIN or line.top > 1 - _MARGIN) and (match := _PAGE_NUMBER.match(line.text))
    )
    if not offsets:
        return 0
    offset, count = offsets.most_common(1)[0]
    return offset if count >= 2 or sum(offsets.values()) == 1 else 0


def _action_margin(lines: list[Line]) -> float | None:
    """Where headings and action start: the most common left edge of what reads as a heading in capitals.

    A line with a scene number starts with that, left of the margin. Whichever kind is more common counts: a speech in
    capitals may begin like a heading, too.
    """
    capitals = [(round(line.left, 2), *take_number(line.text)) for line in lines if line.text == line.text.upper()]
    edges = Counter(left for left, number, text in capitals if number is None and is_heading(text))
    numbered = Counter(left for left, number, text in capitals if number is not None and is_heading(text))
    if not edges and not numbered:
        numbered = Counter(left for left, number, _ in capitals if number is not None)
    if edges.total() > numbered.total():
        return edges.most_common(1)[0][0]
    return numbered.most_common(1)[0][0] + _SPEECH_INDENT if numbered else None


def _blank_line(lines: list[Line]) -> float:
    """From which distance on two lines have space between them: a quarter more than lines usually stand apart."""
    distances = Counter(
        round(line.top - previous.top, 3)
        for previous, line in pairwise(lines)
        if line.page == previous.page and line.top > previous.top
    )
    usual = min((each for each, count in distances.items() if count * 10 >= distances.total()), default=_BLANK_LINE)
    return min(_BLANK_LINE, usual * 1.25)


def _elements(lines: list[Line], margin: float, offset: int) -> Iterator[Element]:
    speaking = False
    blank = _blank_line(lines)
    previous: Line | None = None
    heading: Element | None = None
    for line in lines:
        indent = line.left - margin
        number, text = take_number(line.text)
        page = max(1, line.page + 1 - offset)
        position = max(0.0, page - 1 + line.top)
        gap = previous is None or previous.page != line.page or line.top - previous.top > blank
        if heading is not None and not gap and _goes_on(heading, line, indent):
            heading = replace(heading, text=f"{heading.text} {line.text}")
            previous = line
            continue
        if heading is not None:
            yield heading
            heading = None
        if indent < _SPEECH_INDENT and is_heading(text) and gap:
            speaking = False
            heading = Element(Kind.HEADING, text, number=number, page=page, position=position)
        elif indent >= _CUE_INDENT and not line.text.startswith("(") and _is_name(line.text) and gap:
            speaking = not _TRANSITION.match(line.text)
            kind = Kind.CHARACTER if speaking else Kind.TRANSITION
            yield Element(kind, line.text, page=page, position=position)
        elif speaking and indent >= _SPEECH_INDENT:
            kind = Kind.PARENTHETICAL if line.text.startswith("(") else Kind.DIALOGUE
            yield Element(kind, line.text, page=page, position=position)
        else:
            speaking = False
            kind = Kind.TRANSITION if _TRANSITION.match(line.text) else Kind.ACTION
            yield Element(kind, line.text, page=page, position=position)
        previous = line
    if heading is not None:
        yield heading


def _goes_on(heading: Element, line: Line, indent: float) -> bool:
    """Whether a heading in capitals was too long for its line; what belongs to no heading has space before it."""
    return indent < _SPEECH_INDENT and heading.text == heading.text.upper() and line.text == line.text.upper()


def _is_name(text: str) -> bool:
    name = text.split("(", 1)[0]
    return len(text) <= 60 and name == name.upper() and any(char.isalpha() for char in name)
