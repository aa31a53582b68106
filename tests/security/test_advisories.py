"""The check for known holes fails when there is one, and does not claim to have looked when it could not."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests import advisories

HOLE = {"id": "PYSEC-1", "fix_versions": ["2"], "description": ""}
SOUND = {"name": "sound", "version": "1", "vulns": []}
HOLED = {"name": "holed", "version": "1", "vulns": [HOLE]}
SKIPPED = {"name": "skipped", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "code", "says"),
    [
        ([SOUND, SKIPPED], 0, "1 packages were looked up, 0 holes"),
        ([SOUND, HOLED], 1, "holed 1: PYSEC-1 (fixed in 2)"),
        ([SKIPPED], 0, "nothing was looked up"),
    ],
)
def test_the_report_is_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: list[Any], code: int, says: str
) -> None:
    done = subprocess.CompletedProcess([], 0, json.dumps({"dependencies": found}), "")
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: done)
    assert advisories.main() == code
    assert says in capsys.readouterr().out
