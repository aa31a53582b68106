"""Final Draft (.fdx): XML whose paragraphs say what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element as Node
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from .elements import Element, Kind, UnreadableError

_KINDS = {
    "Scene Heading": Kind.HEADING,
    "Action": Kind.ACTION,
    "General": Kind.ACTION,
    "Shot": Kind.ACTION,
    "Cast List": Kind.ACTION,
    "Character": Kind.CHARACTER,
    "Parenthetical": Kind.PARENTHETICAL,
    "Dialogue": Kind.DIALOGUE,
    "Lyrics": Kind.DIALOGUE,
    "Transition": Kind.TRANSITION,
}
_LENGTH = re.compile(r"^\s*(?:(?P<pages>\d+)\s*)??(?:(?P<eighths>\d+)/8)?\s*$")


def read(content: BinaryIO) -> list[Element]:
    """The elements of a Final Draft document. Raises UnreadableError."""
    try:
        root = parse(content, forbid_dtd=True).getroot()
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise UnreadableError("This Final Draft file is not well-formed XML.") from None
    body = root.find("Content") if root is not None and root.tag == "FinalDraft" else None
    if body is None:
        raise UnreadableError("This file has no Final Draft script in it.")
    return list(_elements(body))


def _elements(body: Node) -> Iterator[Element]:
    for paragraph in body.iter("Paragraph"):
        # A paragraph that holds a dual dialogue has its speeches as paragraphs inside.
        text = "".join(node.text or "" for node in paragraph.findall("Text")).strip()
        if not text:
            continue
        kind = _KINDS.get(paragraph.get("Type", ""), Kind.ACTION)
        if kind is Kind.HEADING:
            yield _heading(paragraph, text)
        else:
            yield Element(kind, text)


def _heading(paragraph: Node, text: str) -> Element:
    properties = paragraph.find("SceneProperties")
    page = properties.get("Page", "") if properties is not None else ""
    length = properties.get("Length", "") if properties is not None else ""
    return Element(
        Kind.HEADING,
        " ".join(text.split()),
        number=(paragraph.get("Number") or "").strip() or None,
        page=int(page) if page.isascii() and page.isdigit() and len(page) < 6 else None,
        eighths=_eighths(length),
    )


def _eighths(length: str) -> int | None:
    """`1 3/8` pages in eighths; None when the file does not say."""
    match = _LENGTH.match(length[:20])
    if match is None or not length.strip():
        return None
    return (int(match["pages"] or 0) * 8 + int(match["eighths"] or 0)) or None
