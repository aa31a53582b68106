"""Fountain and Final Draft, scene by scene against what a reader finds in the file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from backend.integrations.screenplays import Scene, UnreadableError, read_scenes

SCRIPTS = Path(__file__).parent / "scripts"
# file: number, heading, setting, location, time of day, characters
TRUTH: dict[str, list[tuple[str | None, str, str | None, str, str | None, list[str]]]] = {
    "night-train.fountain": [
        ("1", "EXT. CENTRAL STATION - PLATFORM 9 - NIGHT", "EXT", "CENTRAL STATION - PLATFORM 9", "NIGHT", []),
        (
            "2",
            "INT. NIGHT TRAIN - DINING CAR - CONTINUOUS",
            "INT",
            "NIGHT TRAIN - DINING CAR",
            "CONTINUOUS",
            ["STEWARD", "MARA"],
        ),
        (
            "2A",
            "I/E. NIGHT TRAIN / COUNTRYSIDE - MOVING - LATER",
            "INT/EXT",
            "NIGHT TRAIN / COUNTRYSIDE - MOVING",
            "LATER",
            [],
        ),
        ("3", "MARA'S DREAM", None, "MARA'S DREAM", None, []),
        ("4", "EXT. BORDER CROSSING - DAWN", "EXT", "BORDER CROSSING", "DAWN", ["McAllister", "MARA"]),
        ("5", "INT./EXT. CUSTOMS SHED - SAME", "INT/EXT", "CUSTOMS SHED", "SAME", ["MARA"]),
    ],
    "quiet-kitchen.fountain": [
        (None, "int. kitchen - morning", "INT", "kitchen", "morning", ["NORA", "TOM"]),
        (None, "ext. garden – day", "EXT", "garden", "day", ["TOM"]),
        (None, "Int. kitchen", "INT", "kitchen", None, []),
        (None, "EXT. ROAD (1985) - DUSK - RAIN", "EXT", "ROAD (1985) - DUSK - RAIN", None, []),
        (None, "EST. THE CITY - NIGHT", "EXT", "THE CITY", "NIGHT", []),
        (None, "EXT/INT. BUS - MOVING", "INT/EXT", "BUS - MOVING", None, ["NORA"]),
    ],
    "crlf-bom.fountain": [
        (None, "INT. OFFICE - DAY", "INT", "OFFICE", "DAY", ["ANA"]),
        (None, "EXT. STRASSE - NACHT", "EXT", "STRASSE - NACHT", None, ["ЕЛЕНА"]),
        (None, "INT. 茶室 - NIGHT", "INT", "茶室", "NIGHT", []),
    ],
    "heist.fdx": [
        ("1", "INT. BANK VAULT - NIGHT", "INT", "BANK VAULT", "NIGHT", ["RIVER"]),
        ("2", "EXT. ALLEY - CONTINUOUS", "EXT", "ALLEY", "CONTINUOUS", ["RIVER", "SAM"]),
        ("2A", "I/E. VAN - MOVING - LATER", "INT/EXT", "VAN - MOVING", "LATER", []),
        (None, "FLASHBACK: THE PLAN", None, "FLASHBACK: THE PLAN", None, []),
    ],
    "bare.fdx": [
        (None, "EXT. LIGHTHOUSE - DAWN", "EXT", "LIGHTHOUSE", "DAWN", ["KEEPER"]),
        (None, "INT. LIGHTHOUSE - LAMP ROOM", "INT", "LIGHTHOUSE - LAMP ROOM", None, []),
    ],
}


def read(name: str) -> list[Scene]:
    return read_scenes(io.BytesIO((SCRIPTS / name).read_bytes()), Path(name).suffix)


@pytest.mark.parametrize("name", TRUTH)
def test_every_scene_is_found_and_no_false_one(name: str) -> None:
    found = [
        (scene.number, scene.heading, scene.setting, scene.location, scene.time_of_day, scene.characters)
        for scene in read(name)
    ]
    assert found == TRUTH[name]


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
