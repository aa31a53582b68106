"""Screenplays typeset as PDFs in several houses' styles, with the truth about each scene beside them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from tests.factories.pages import Put, make_pdf

Element = tuple[str, str]  # kind and text


@dataclass(frozen=True, slots=True)
class Style:
    """How a program sets a screenplay. Lengths are points; `numbers` puts scene numbers in both margins."""

    width: float = 612
    height: float = 792
    margin: float = 108
    lines: int = 54
    numbers: bool = False
    page_numbers: bool = True
    title_page: bool = False
    continued: bool = False
    by_word: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """A scene as it was set: its heading, its number, the page printed on it, who speaks."""

    heading: str
    number: str | None
    page: int
    characters: tuple[str, ...]


_COLUMNS = {
    "heading": (0, 60),
    "action": (0, 60),
    "character": (158, 38),
    "parenthetical": (115, 25),
    "dialogue": (72, 35),
    "transition": (290, 20),
}
_BEFORE = {"heading": 2, "action": 1, "character": 1, "transition": 1}


def typeset(elements: list[Element], style: Style) -> tuple[bytes, list[Truth]]:
    """The PDF, and what is true of its scenes."""
    pieces: list[Put] = []
    truths: list[Truth] = []
    sheet = 0
    if style.title_page:
        pieces.append(Put(0, 250, 300, "NIGHT TRAIN"))
        pieces.append(Put(0, 250, 330, "Written by Us"))
        sheet = 1
    first, line, scene = sheet, 0, 0
    for kind, text in elements:
        indent, columns = _COLUMNS[kind]
        rows = textwrap.wrap(text, columns) or [""]
        before = _BEFORE.get(kind, 0) if line else 0
        needs = len(rows) + (2 if kind in ("heading", "character") else 0)
        if line and line + before + needs > style.lines:
            if style.continued:
                pieces.append(Put(sheet, style.margin + 290, style.height - 76, "(CONTINUED)"))
            sheet, line, before = sheet + 1, 0, 0
            if style.continued:
                pieces.append(Put(sheet, style.margin, 76, "CONTINUED:"))
        line += before
        if kind == "heading":
            scene += 1
            truths.append(Truth(text, str(scene) if style.numbers else None, sheet - first + 1, ()))
        elif kind == "character" and truths:
            name = text.split("(")[0].strip()
            known = truths[-1].characters
            if name not in known:
                truths[-1] = Truth(truths[-1].heading, truths[-1].number, truths[-1].page, (*known, name))
        for row in rows:
            top = 90 + 12 * line
            pieces.append(Put(sheet, style.margin + indent, top, row))
            if kind == "heading" and style.numbers and row is rows[0]:
                pieces.append(Put(sheet, style.margin - 54, top, str(scene)))
                pieces.append(Put(sheet, style.margin + 420, top, str(scene)))
            line += 1
    if style.page_numbers:
        pieces += [Put(page, style.width - 90, 42, f"{page - first + 1}.") for page in range(first + 1, sheet + 1)]
    return make_pdf(pieces, width=style.width, height=style.height, by_word=style.by_word), truths


def long_script(scenes: int = 24) -> list[Element]:
    """A script of our own, long enough to turn pages, with the traps of real ones."""
    places = ["DINING CAR", "PLATFORM - REAR END", "MARA'S COMPARTMENT", "ROOF OF THE TRAIN", "STATION CAFÉ"]
    times = ["NIGHT", "DAY", "CONTINUOUS", "DAWN", "LATER"]
    elements: list[Element] = [("transition", "FADE IN:")]
    for index in range(scenes):
        setting = ("INT.", "EXT.", "INT./EXT.")[index % 3]
        elements.append(("heading", f"{setting} {places[index % 5]} - {times[index % 5]}"))
        elements.append(
            (
                "action",
                "Rain runs down the window. MARA pours coffee from a dented steel thermos and does not drink it. " * 2,
            )
        )
        elements.append(("character", "MARA" if index % 2 else "MARA (V.O.)"))
        if index % 3 == 0:
            elements.append(("parenthetical", "(to the window)"))
        elements.append(
            ("dialogue", "INT. is how it always begins. Then somebody says EXT. and we are all out in the rain again.")
        )
        if index % 4:
            elements.append(("character", "CONDUCTOR (CONT'D)"))
            elements.append(("dialogue", "Tickets, please. 12 of them, by my count."))
        elements.append(("action", "INTERIOR lights flicker. The EXT. sign on the door goes dark."))
        if index % 5 == 4:
            elements.append(("transition", "CUT TO:"))
    return elements
