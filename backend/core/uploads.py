"""An uploaded script on its way in: checked against its extension, hashed, and kept or forgotten."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO
from xml.parsers import expat

from backend.core.errors import Invalid, UnsupportedMedia

_CHUNK = 1024 * 1024
_NAME_LIMIT = 255
_PDF_END = 2048  # bytes; ISO 32000 asks for the last 1,024, and some programs write a little behind
_PDF_TABLE = re.compile(rb"startxref\s+([0-9]{1,15})\s+%%EOF")


@dataclass(frozen=True, slots=True)
class Script:
    """A script file as it arrived: its content is on disk, its digest known, its kind verified."""

    content: BinaryIO
    file_name: str
    media_type: str
    size: int
    sha256: bytes


@dataclass(slots=True)
class Kept:
    """A script in storage. It stays only if a change adopts it and commits."""

    script: Script
    key: str
    adopted: bool = False


class _Done(Exception):
    """Enough was seen."""


def _is_pdf(content: BinaryIO) -> bool:
    """A head and an end: near the end it says where its table is, and that lies inside the file.

    So a file that was cut off is refused at once. What stands between is judged by the child that reads it.
    """
    if content.read(5) != b"%PDF-":
        return False
    size = content.seek(0, os.SEEK_END)
    content.seek(max(0, size - _PDF_END))
    places = _PDF_TABLE.findall(content.read())
    return bool(places) and 0 < int(places[-1]) < size


def _is_final_draft(content: BinaryIO) -> bool:
    """Well-formed from the start, with Final Draft's root element; no document type, so no entities."""
    roots: list[str] = []

    def on_element(name: str, _: dict[str, str]) -> None:
        roots.append(name)
        raise _Done

    def on_doctype(*_: object) -> None:
        raise _Done

    parser = expat.ParserCreate()
    parser.StartElementHandler = on_element
    parser.StartDoctypeDeclHandler = on_doctype
    with contextlib.suppress(_Done, expat.ExpatError, ValueError, LookupError):
        parser.Parse(content.read(64 * 1024), False)
    return roots == ["FinalDraft"]


def _is_fountain(content: BinaryIO) -> bool:
    """Plain UTF-8 text without control characters, all the way, that is not one of the other two kinds."""
    decode = codecs.getincrementaldecoder("utf-8-sig")().decode
    control = {chr(code) for code in range(32)} - set("\t\n\r\f\v")
    try:
        while chunk := content.read(_CHUNK):
            if not control.isdisjoint(decode(chunk)):
                return False
        decode(b"", True)
    except UnicodeDecodeError:
        return False
    content.seek(0)
    start = content.read(1024).removeprefix(codecs.BOM_UTF8).lstrip()
    return not start.startswith((b"%PDF-", b"<?xml", b"<FinalDraft"))


_KINDS: dict[str, tuple[str, str, Callable[[BinaryIO], bool]]] = {
    ".pdf": ("application/pdf", "a whole PDF", _is_pdf),
    ".fdx": ("application/xml", "a Final Draft document", _is_final_draft),
    ".fountain": ("text/plain; charset=utf-8", "Fountain text in UTF-8", _is_fountain),
}
MEDIA_TYPES = [media_type.partition(";")[0] for media_type, _, _ in _KINDS.values()]


def inspect(content: BinaryIO, sent_name: str) -> Script:
    """The script in an uploaded file. It blocks: call it in a thread.

    Raises UnsupportedMedia (415) for another extension, or content that does not match it; Invalid for an empty file.
    """
    name = _safe_name(sent_name)
    kind = _KINDS.get(PurePosixPath(name.lower()).suffix)
    if kind is None:
        raise UnsupportedMedia("A script is a .pdf, .fountain or .fdx file.", code="unsupported_script")
    media_type, noun, matches = kind
    size, digest = 0, hashlib.sha256()
    content.seek(0)
    while chunk := content.read(_CHUNK):
        size += len(chunk)
        digest.update(chunk)
    if size == 0:
        raise Invalid.field("file", "is empty")
    content.seek(0)
    if not matches(content):
        raise UnsupportedMedia(f"The content of this file is not {noun}, as its name says.", code="content_mismatch")
    content.seek(0)
    return Script(content, name, media_type, size, digest.digest())


def _safe_name(sent: str) -> str:
    """The last part of the name that was sent, printable, at most 255 characters with its extension kept."""
    name = "".join(char for char in sent.replace("\\", "/").rsplit("/", 1)[-1] if char.isprintable()).strip()
    name = name.encode("utf-8", "replace").decode() or "script"
    if len(name) > _NAME_LIMIT:
        suffix = PurePosixPath(name).suffix[:20]
        name = name[: _NAME_LIMIT - len(suffix)] + suffix
    return name
