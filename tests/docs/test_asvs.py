"""The table of ASVS: every number of levels 1 and 2 once, each with a state, and no test that is not there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "asvs.md").read_text()

# The numbers of ASVS 5.0.0: `section: items`, a star where the item is of level 1.
NUMBERS = """
    1.1: 1 2 | 1.2: 1* 2* 3* 4* 5* 6 7 8 9 | 1.3: 1* 2* 3 4 5 6 7 8 9 10 11 | 1.4: 1 2 3 | 1.5: 1* 2 | 2.1: 1* 2 3
    2.2: 1* 2* 3 | 2.3: 1* 2 3 4 | 2.4: 1 | 3.2: 1* 2* | 3.3: 1* 2 3 4 | 3.4: 1* 2* 3 4 5 6 | 3.5: 1* 2* 3* 4 5
    3.7: 1 2 | 4.1: 1* 2 3 | 4.2: 1 | 4.3: 1 2 | 4.4: 1* 2 3 4 | 5.1: 1 | 5.2: 1* 2* 3 | 5.3: 1* 2* | 5.4: 1 2 3
    6.1: 1* 2 3 | 6.2: 1* 2* 3* 4* 5* 6* 7* 8* 9 10 11 12 | 6.3: 1* 2* 3 4 | 6.4: 1* 2* 3 4 | 6.5: 1 2 3 4 5
    6.6: 1 2 3 | 6.8: 1 2 3 4 | 7.1: 1 2 3 | 7.2: 1* 2* 3* 4* | 7.3: 1 2 | 7.4: 1* 2* 3 4 5 | 7.5: 1 2 | 7.6: 1 2
    8.1: 1* 2 | 8.2: 1* 2* 3 | 8.3: 1* | 8.4: 1 | 9.1: 1* 2* 3* | 9.2: 1* 2 3 4 | 10.1: 1 2 | 10.2: 1 2
    10.3: 1 2 3 4 | 10.4: 1* 2* 3* 4* 5* 6 7 8 9 10 11 | 10.5: 1 2 3 4 5 | 10.6: 1 2 | 10.7: 1 2 3 | 11.1: 1 2
    11.2: 1 2 3 | 11.3: 1* 2* 3 | 11.4: 1* 2 3 4 | 11.5: 1 | 11.6: 1 | 12.1: 1* 2 3 | 12.2: 1* 2* | 12.3: 1 2 3 4
    13.1: 1 | 13.2: 1 2 3 4 5 | 13.3: 1 2 | 13.4: 1* 2 3 4 5 | 14.1: 1 2 | 14.2: 1* 2 3 4 | 14.3: 1* 2 3
    15.1: 1* 2 3 | 15.2: 1* 2 3 | 15.3: 1* 2 3 4 5 6 7 | 16.1: 1 | 16.2: 1 2 3 4 5 | 16.3: 1 2 3 4 | 16.4: 1 2 3
    16.5: 1 2 3 | 17.1: 1 | 17.2: 1 2 3 4 | 17.3: 1 2
"""
STATES = {"met", "n.a.", "outside", "open"}


def numbers(*, level_1: bool = False) -> list[str]:
    """Every number, or those of level 1."""
    found = []
    for section in NUMBERS.replace("|", "\n").split("\n"):
        name, _, items = section.strip().partition(": ")
        found += [f"{name}.{each.rstrip('*')}" for each in items.split() if each.endswith("*") or not level_1]
    return found


def rows() -> list[tuple[list[str], str, str]]:
    """The items of each row, its state, and what shows it."""
    found = []
    for line in TABLE.splitlines():
        cells = [each.strip() for each in line.strip("|").split(" | ")]
        if re.match(r"\| \d", line):
            assert len(cells) == 4, line
            found.append((cells[0].split(", "), cells[2], cells[3].strip(" |")))
    return found


@cache
def functions_of(path: str) -> set[str]:
    """The functions of a test file."""
    return {
        each.name
        for each in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_there_are_as_many_as_the_standard_has() -> None:
    assert (len(numbers(level_1=True)), len(numbers())) == (70, 253)


def test_every_number_stands_there_once() -> None:
    assert Counter(item for items, _, _ in rows() for item in items) == Counter(numbers())


@pytest.mark.parametrize(("items", "state", "shown"), rows(), ids=lambda each: each[0] if each else "")
def test_a_row_has_a_state_and_names_what_there_is(items: list[str], state: str, shown: str) -> None:
    assert state in STATES
    assert shown, "a state has its reason"
    named = re.findall(r"`((?:tests|docs)/[^`]+|SECURITY\.md|\.env\.example)`", shown)
    assert named or state != "met", f"{items}: nothing shows it"
    for each in named:
        path, _, name = each.partition("::")
        assert (ROOT / path).is_file(), path
        assert not name or name in functions_of(path), each


def test_what_is_open_is_told_in_the_summary() -> None:
    summary = (ROOT / "docs" / "security.md").read_text()
    for items, state, _ in rows():
        if state == "open":
            assert all(item in summary for item in items), items
