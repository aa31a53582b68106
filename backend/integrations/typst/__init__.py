"""Typesetting: data in, a PDF out, by typst with the fonts that lie beside this file.

Data reaches a template as JSON text, so nothing in it is ever read as markup. Fonts of the machine are not looked at:
the same template, data and date give the same bytes everywhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst

_HERE = Path(__file__).parent


@lru_cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[_HERE / "fonts"])


@lru_cache
def _threads() -> ThreadPoolExecutor:
    """One thread at the most: documents queue here, and requests keep the processor."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="typst")


def _compile(template: str, data: Mapping[str, Any], dated: datetime) -> bytes:
    # Warnings (a glyph that no font has) are not the reader's affair.
    document, _ = typst.compile_with_warnings(
        _HERE / f"{template}.typ",
        root=_HERE,
        font_paths=_fonts(),
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
        timestamp=int(dated.timestamp()),
    )
    assert isinstance(document, bytes)
    return document


async def typeset(template: str, data: Mapping[str, Any], dated: datetime) -> bytes:
    """The PDF of a template of this folder with this JSON data, dated `dated`; made in a thread, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), _compile, template, data, dated)
