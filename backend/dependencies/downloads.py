"""What a file that leaves has in its headers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from backend.core.edge import NOTHING

PDF = "application/pdf"


def file(description: str, *media_types: str) -> dict[str, Any]:
    """A file, of one of these types, as a documented answer."""
    schema = {"type": "string", "format": "binary"}
    return {"description": description, "content": {each: {"schema": schema} for each in media_types}}


def attachment(file_name: str, media_type: str) -> dict[str, str]:
    """The headers of a file that is to be saved under this name, kept in no cache, and run by no browser."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%' else "_" for char in file_name)
    return {
        "content-type": media_type,
        "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}",
        "cache-control": "private, no-store",
        "content-security-policy": f"sandbox; {NOTHING}",
    }
