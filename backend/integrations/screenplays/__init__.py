"""Screenplays in the formats that writers use, read into scenes. Nothing here knows a table or the network."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO

from . import final_draft, fountain, pdf
from .elements import Element, Kind, UnreadableError
from .scenes import Scene, split

__all__ = ["Element", "Kind", "Scene", "UnreadableError", "read_scenes"]


def read_scenes(content: BinaryIO, extension: str) -> list[Scene]:
    """The scenes of a `.pdf`, `.fdx` or `.fountain` file.

    It blocks, and takes what memory the file makes it take: run it in a process of its own. Raises UnreadableError.
    """
    match extension:
        case ".pdf":
            elements = pdf.read(io.BytesIO(content.read()))
        case ".fdx":
            elements = final_draft.read(content)
        case ".fountain":
            elements = fountain.read(_text(content.read()))
        case _:
            raise UnreadableError("Scripts are read from .pdf, .fdx and .fountain files.")
    scenes = split(elements)
    if not scenes:
        raise UnreadableError("No scene headings (INT., EXT.) were found in this script.")
    return scenes


def _text(raw: bytes) -> str:
    try:
        return codecs.decode(raw, "utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("This text is not UTF-8.") from None
