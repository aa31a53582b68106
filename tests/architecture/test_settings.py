"""Every setting stands in .env.example with its meaning and its default, and the two agree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.core.config import Settings

ROOT = Path(__file__).resolve().parents[2]
LINES = (ROOT / ".env.example").read_text().splitlines()
# What `serve` tells its own workers; nobody sets it by hand.
OWN = {"supervisor_pid"}
SET = [name for name in Settings.model_fields if name not in OWN]


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _line_of(name: str) -> int:
    found = [index for index, line in enumerate(LINES) if line.split("=")[0] == name.upper()]
    assert len(found) == 1, f"{name.upper()} stands {len(found)} times in .env.example"
    return found[0]


@pytest.mark.parametrize("name", SET)
def test_a_setting_stands_there_with_its_default(name: str) -> None:
    line = LINES[_line_of(name)]
    assert line.partition("=")[2] == _written(Settings.model_fields[name].default)


@pytest.mark.parametrize("name", SET)
def test_a_setting_is_explained(name: str) -> None:
    index = _line_of(name) - 1
    while "=" in LINES[index] and not LINES[index].startswith("#"):  # several may share a comment
        index -= 1
    assert re.match(r"# \S.*[.:]", LINES[index]), f"{name.upper()} has no meaning above it"


def test_nothing_else_stands_there() -> None:
    names = {line.split("=")[0] for line in LINES if line and not line.startswith("#")}
    assert names == {name.upper() for name in SET}


def test_the_file_is_a_configuration_that_starts() -> None:
    assert Settings(_env_file=ROOT / ".env.example") == Settings(_env_file=None)


def test_the_readme_names_only_settings_that_there_are() -> None:
    text = (ROOT / "README.md").read_text()
    table = text[text.index("## Configuration") :]
    named = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert named
    assert named <= {name.upper() for name in SET}
