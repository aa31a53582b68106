"""The checks for holes fail when there is one, and do not claim to have looked when they could not."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from packaging.utils import canonicalize_name

from tests import advisories, parts

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


def test_a_broken_pip_audit_is_no_clean_bill(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.CompletedProcess([], 2, "", "pip-audit: error: unrecognized arguments")
    monkeypatch.setattr(subprocess, "run", lambda *args, **more: done)
    assert advisories.main() == 1
    assert "unrecognized arguments" in capsys.readouterr().out


def test_every_part_is_looked_up_with_what_it_brings() -> None:
    found = parts.installed(parts.ROOT / "requirements.txt")
    for each in parts.direct(parts.ROOT / "requirements.txt"):
        assert each.specifier.contains(found[canonicalize_name(each.name)]), each
    assert {"mako", "greenlet", "click", "argon2-cffi-bindings"} <= set(found), "brought by others"
    assert "pytest" not in found
    listed = {each["purl"] for each in parts.bill()["components"]}
    assert listed == {f"pkg:pypi/{name}@{version}" for name, version in found.items()}


class Advisories(BaseHTTPRequestHandler):
    """An index in OSV's form that knows one hole."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}]
        affected = [{"package": {"name": asked, "ecosystem": "PyPI"}, "ranges": ranges, "versions": ["1.6.6"]}]
        hole = {"id": "GHSA-planted", "modified": "2026-01-01T00:00:00Z", "affected": affected}
        answer = json.dumps({"vulns": [hole]} if asked == "segno" else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def index() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()
        thread.join()


def test_the_real_pip_audit_finds_a_known_hole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, index: str
) -> None:
    (tmp_path / "requirements.txt").write_text("segno==1.6.6\ndefusedxml==0.7.1\n")
    monkeypatch.setattr(advisories, "ROOT", tmp_path)
    monkeypatch.setattr(advisories, "COMMAND", [*advisories.COMMAND, "-s", "osv", "--osv-url", index])
    assert advisories.main() == 1
    assert "segno 1.6.6: GHSA-planted (fixed in 9.9)" in capsys.readouterr().out


def test_bandit_as_the_check_runs_it_finds_a_planted_hole(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    line = re.search(r'^check "bandit" "\$venv_python" (.*)$', (root / "scripts" / "check").read_text(), re.MULTILINE)
    assert line is not None
    (tmp_path / "planted.py").write_text("import pickle\n\n\ndef read(sent):\n    return pickle.loads(sent)\n")
    command = [str(tmp_path) if part == "backend" else part for part in shlex.split(line[1])]
    done = subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, "B301" in done.stdout) == (1, True), done.stdout + done.stderr
