"""Fountain and Final Draft, scene by scene against what a reader finds in the file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from backend.integrations.screenplays import Scene, UnreadableError, read_scenes
from tests.screenplays.truth import SCRIPTS


def read(name: str) -> list[Scene]:
    return read_scenes(io.BytesIO((SCRIPTS / name).read_bytes()), Path(name).suffix)


def test_pages_and_lengths_are_the_files_own_where_it_says_them() -> None:
    scenes = read("heist.fdx")
    assert [(scene.page, scene.eighths, scene.estimated_seconds) for scene in scenes[:3]] == [
        (1, 10, 75),
        (2, 3, 22),
        (3, 16, 120),
    ]


def test_a_forced_page_break_starts_a_page() -> None:
    assert [scene.page for scene in read("night-train.fountain")] == [1, 1, 1, 1, 2, 2]


def test_notes_boneyard_outline_and_emphasis_leave_no_trace() -> None:
    text = "\n".join(scene.text for scene in read("night-train.fountain"))
    for trace in ("WRONG PLACE", "CUT SEQUENCE", "Mara boards", "Act One", "*", "[["):
        assert trace not in text


def test_an_excerpt_ends_at_a_word() -> None:
    long = "INT. ROOM - DAY\n\n" + "A sentence about a kettle. " * 60
    (scene,) = read_scenes(io.BytesIO(long.encode()), ".fountain")
    assert len(scene.excerpt) <= 604
    assert scene.excerpt.endswith(" …")


@pytest.mark.parametrize(
    ("content", "extension", "reason"),
    [
        (b"Just a letter to a friend.", ".fountain", "No scene headings"),
        (b"\xff\xfeI\x00N\x00T\x00", ".fountain", "not UTF-8"),
        (b"<FinalDraft><Content>", ".fdx", "not well-formed"),
        (b"<Other/>", ".fdx", "no Final Draft script"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><FinalDraft><Content/></FinalDraft>', ".fdx", "not well-formed"),
        (b"anything", ".docx", "Scripts are read from"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(content: bytes, extension: str, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_scenes(io.BytesIO(content), extension)
