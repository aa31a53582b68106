"""Planted words: values that stand nowhere else, searched in whatever leaves the service."""

from __future__ import annotations

import io
from urllib.parse import unquote

import httpx2
from pypdf import PdfReader


class Plants:
    """Words and amounts that stand nowhere else, each with what it is."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}

    def word(self, what: str) -> str:
        value = f"Quokka{len(self.planted):02d}zyx"
        self.planted[value] = what
        return value

    def amount(self, what: str) -> int:
        value = 7_310_001 + 137 * len(self.planted)
        self.planted[str(value)] = what
        return value

    def known(self, value: str, what: str) -> None:
        """A value that the service made, such as an id."""
        self.planted[value] = what

    def found_in(self, text: str) -> list[str]:
        plain = text.lower().replace(",", "")
        return [what for value, what in self.planted.items() if value.lower() in plain]


def said(response: httpx2.Response) -> str:
    """Everything of an answer: headers and body, of a PDF its pages, its metadata, its files."""
    headers = "\n".join(f"{name}: {unquote(value)}" for name, value in response.headers.items())
    if response.headers.get("content-type") != "application/pdf":
        return f"{headers}\n{response.text}"
    document = PdfReader(io.BytesIO(response.content))
    files = [content.decode() for contents in document.attachments.values() for content in contents]
    return "\n".join([headers, str(document.metadata), *(page.extract_text() for page in document.pages), *files])
