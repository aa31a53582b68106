"""A script is read in a process of its own, which a hostile file may end without harm."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator

import pytest

from backend.integrations.screenplays import UnreadableError, child
from backend.integrations.screenplays.child import read_in_child
from tests.screenplays.typesetting import Style, long_script, typeset


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1 << 16):
        yield content[start : start + (1 << 16)]


async def test_scenes_come_back_as_plain_values() -> None:
    content, truths = typeset(long_script(6), Style(numbers=True))
    scenes = await read_in_child(chunks(content), ".pdf")
    assert [(scene["heading"], scene["number"]) for scene in scenes] == [(each.heading, each.number) for each in truths]
    assert scenes[0]["paragraphs"][0][0] == "action"


async def test_the_reason_comes_back_in_words() -> None:
    with pytest.raises(UnreadableError, match="No scene headings"):
        await read_in_child(chunks(b"Dear reader."), ".fountain")


async def test_a_file_that_wants_too_much_is_unreadable_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_PROGRAM", "import sys; sys.stdin.buffer.read(); x = bytearray(10**12)")
    with pytest.raises(UnreadableError, match="more time or memory"):
        await read_in_child(chunks(b"x"), ".pdf")

    monkeypatch.setattr(child, "SECONDS", -3)
    monkeypatch.setattr(child, "_PROGRAM", "import time; time.sleep(60)")
    started = time.monotonic()
    with pytest.raises(UnreadableError, match="too long"):
        await read_in_child(chunks(os.urandom(1 << 20)), ".pdf")
    assert time.monotonic() - started < 10
