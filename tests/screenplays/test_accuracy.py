"""Every scene of a well-formed script is found and no false one; the documentation shows what was measured."""

from __future__ import annotations

import pytest

from tests.factories.server import ROOT
from tests.screenplays.measuring import Row, measure, rows, table
from tests.screenplays.truth import SCRIPTS, TOLD, Scene


@pytest.fixture(scope="module")
def measured() -> list[Row]:
    return rows()


def test_every_scene_is_found_and_no_false_one(measured: list[Row]) -> None:
    assert len(measured) >= 6
    assert [str(row) for row in measured if not row.perfect] == []


def test_the_page_shows_the_table_as_it_is_measured(measured: list[Row]) -> None:
    page = (ROOT / "docs" / "scripts.md").read_text()
    assert table(measured) in page, "python -m tests.screenplays prints the table"


def test_what_is_missed_or_invented_or_wrong_would_be_seen() -> None:
    told = TOLD["heist.fdx"]
    wrong = Scene("9", told[0].heading, "EXT", ..., ..., ["NOBODY"], 7)
    missed = Scene(None, "INT. MISSED", ..., ..., ..., [])
    row = measure("heist", (SCRIPTS / "heist.fdx").read_bytes(), ".fdx", [wrong, told[1], missed])
    assert (row.scenes, row.found, row.false) == (3, 2, 2)
    assert (row.numbers, row.places, row.characters, row.pages, row.told_pages) == (1, 1, 1, 1, 2)
    assert not row.perfect
