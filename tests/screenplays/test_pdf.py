"""Screenplays as PDFs, scene by scene against the truth of how they were set."""

from __future__ import annotations

import io

import pytest

from backend.integrations.screenplays import UnreadableError, read_scenes
from tests.factories.pages import Put, make_pdf
from tests.screenplays.truth import STYLES
from tests.screenplays.typesetting import Style, long_script, typeset


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_scene_is_found_and_no_false_one(style: Style) -> None:
    content, truths = typeset(long_script(), style)
    scenes = read_scenes(io.BytesIO(content), ".pdf")
    assert [scene.heading for scene in scenes] == [truth.heading for truth in truths]
    assert [scene.number for scene in scenes] == [truth.number for truth in truths]
    assert [scene.page for scene in scenes] == [truth.page for truth in truths]
    assert [tuple(scene.characters) for scene in scenes] == [truth.characters for truth in truths]
    assert all("Rain runs down" in scene.excerpt for scene in scenes)
    assert all(1 <= scene.eighths <= 8 for scene in scenes)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (make_pdf([]), "no text"),
        (make_pdf([Put(0, 108, 300, "Dear reader, this is a letter.")]), "No scene headings"),
        (b"%PDF-1.4\nnothing of the kind", "damaged"),
        (make_pdf([Put(0, 108, 300, "INT. ROOM - DAY")])[:400], "damaged"),
    ],
)
def test_what_cannot_be_read_is_said_in_words(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_scenes(io.BytesIO(content), ".pdf")
