"""The README's tour is true: its commands are run as they stand, against a real server."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.factories.server import ROOT, serving

BLOCK = re.compile(r"<!-- tour -->\n```sh\n(.*?)```", re.DOTALL)


def tour() -> str:
    """Every block of the tour, in order."""
    return "\n".join(BLOCK.findall((ROOT / "README.md").read_text()))


def _run(script: str, address: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "API": f"{address}/api/v1", "no_proxy": "*"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour is told with curl, which this machine has not")
async def test_the_tour_goes_from_signing_up_to_a_completed_placement(dsn: str, tmp_path: Path) -> None:
    script = tour()
    assert script.count("curl") >= 15
    with serving(dsn, tmp_path, APP_ENV="development") as address:
        done = await asyncio.to_thread(_run, script, address, tmp_path)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        told = re.findall(r"^(?:\[.*\])?(\w+|[\d.]+)$", done.stdout, re.MULTILINE)
        assert told == [
            "Pending",  # new terms
            "AwaitingFinalApproval",  # Cleo's yes
            "Accepted",  # Ada's yes
            "True",  # the memo was issued
            "1800.0",  # what the project has
            "Delivered",
            "Completed",  # the commitment
            "Completed",  # the slot
            "omitted",  # the scene of Mo's bid
            "current",  # the scene that Cleo offers instead
        ], done.stdout


async def test_a_tour_that_is_not_true_would_be_noticed(dsn: str, tmp_path: Path) -> None:
    with serving(dsn, tmp_path) as address:
        done = await asyncio.to_thread(_run, 'curl -sS --fail-with-body "$API/bids"; echo on', address, tmp_path)
    assert done.returncode != 0
    assert "on" not in done.stdout.splitlines()
