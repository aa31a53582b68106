"""Fountain (fountain.io/syntax): plain text that is a screenplay.

A parser of our own: the kept library upper-cases headings, while ours go out as the script writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .elements import Element, Kind
from .headings import is_heading

_BONEYARD = re.compile(r"/\*.*?\*/", re.DOTALL)
_NOTE = re.compile(r"\[\[.*?\]\]", re.DOTALL)
_TITLE_KEY = re.compile(r"^[A-Za-z][A-Za-z ]{0,30}:\s*\S*")
_SCENE_NUMBER = re.compile(r"\s*#(?P<number>[\w\-.]+)#\s*$")
_EMPHASIS = re.compile(r"(?<!\\)(\*{1,3}|_)(?=\S)(.+?)(?<=\S)(?<!\\)\1")
_PAGE_BREAK = re.compile(r"^={3,}\s*$")
_SECTION = re.compile(r"^#{1,6}\s*[^#\s]")


def read(text: str) -> list[Element]:
    """The elements of a Fountain text."""
    text = _NOTE.sub("", _BONEYARD.sub(_keep_lines, text.replace("\r\n", "\n").replace("\r", "\n")))
    return list(_elements(_body(text.expandtabs(4).split("\n"))))


def _keep_lines(match: re.Match[str]) -> str:
    """A boneyard leaves its line ends, so that what stood around it does not grow together."""
    return "\n" * match.group().count("\n")


def _body(lines: list[str]) -> list[str]:
    """The lines after the title page, when there is one: keys with values, up to the first blank line."""
    start = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    if start < len(lines) and _TITLE_KEY.match(lines[start]) and not is_heading(lines[start]):
        end = next((index for index in range(start, len(lines)) if not lines[index].strip()), len(lines))
        return lines[end:]
    return lines


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Runs of lines between blank ones. A line of two spaces is not blank: it holds a dialogue together."""
    paragraph: list[str] = []
    for line in lines:
        if line.strip() or (paragraph and line == "  "):
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def _elements(lines: list[str]) -> Iterator[Element]:
    for paragraph in _paragraphs(lines):
        first = paragraph[0].strip()
        if _PAGE_BREAK.match(first):
            yield Element(Kind.PAGE_BREAK, "")
        elif _SECTION.match(first) or first.startswith("="):
            yield from _after_outline(paragraph)
        elif heading := _heading(first):
            yield heading
            # A heading wants a blank line after it; writers forget it.
            if len(paragraph) > 1:
                yield from _elements(paragraph[1:])
        elif len(paragraph) > 1 and _is_cue(paragraph[0]):
            yield from _speech(paragraph)
        elif len(paragraph) == 1 and _is_transition(first):
            yield Element(Kind.TRANSITION, first.lstrip(">").strip())
        else:
            yield Element(Kind.ACTION, "\n".join(_plain(_unforced(line)) for line in paragraph))


def _after_outline(paragraph: list[str]) -> Iterator[Element]:
    """Sections and synopses are the writer's outline, not the script; what follows them directly is."""
    rest = [line for line in paragraph if not (_SECTION.match(line.strip()) or line.strip().startswith("="))]
    if rest:
        yield from _elements(rest)


def _heading(line: str) -> Element | None:
    forced = line.startswith(".") and not line.startswith("..") and len(line) > 1
    if not forced and not is_heading(line):
        return None
    text = line[1:].strip() if forced else line
    match = _SCENE_NUMBER.search(text)
    number = match["number"] if match else None
    return Element(Kind.HEADING, _plain(text[: match.start()] if match else text).strip(), number=number)


def _is_cue(line: str) -> bool:
    """A name in capitals (or after @) with its words below; two spaces after it say that it is none."""
    if line.lstrip().startswith("@"):
        return len(line.strip()) > 1
    if line.endswith("  ") or line.lstrip().startswith(("!", ">", "~", ".")):
        return False
    name = line.split("(", 1)[0].rstrip(" ^")
    return name.strip() != "" and name == name.upper() and any(char.isalpha() for char in name)


def _speech(paragraph: list[str]) -> Iterator[Element]:
    yield Element(Kind.CHARACTER, _plain(paragraph[0].strip().lstrip("@").rstrip("^").strip()))
    for line in paragraph[1:]:
        words = line.strip()
        if words.startswith("(") and words.endswith(")"):
            yield Element(Kind.PARENTHETICAL, _plain(words))
        elif words:
            yield Element(Kind.DIALOGUE, _plain(words.lstrip("~")))


def _is_transition(line: str) -> bool:
    if line.startswith(">"):
        return not line.endswith("<")
    return line == line.upper() and line.endswith("TO:")


def _unforced(line: str) -> str:
    stripped = line.strip()
    if stripped.startswith("!"):
        return stripped[1:]
    if stripped.startswith(">") and stripped.endswith("<"):
        return stripped[1:-1].strip()
    return line.rstrip()


def _plain(text: str) -> str:
    """The words without their emphasis marks."""
    for _ in range(3):
        text, count = _EMPHASIS.subn(r"\2", text)
        if not count:
            break
    return text.replace("\\*", "*").replace("\\_", "_")
