"""A client made from docs/openapi.json type-checks, and tells the story of a deal to a real server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.factories.server import serving

HERE = Path(__file__).resolve().parent
INSTALLED = HERE / "node_modules" / ".package-lock.json"


def _missing() -> str | None:
    """Why this cannot run here."""
    if shutil.which("node") is None or shutil.which("npx") is None:
        return "Node is not installed"
    return None


pytestmark = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))


@pytest.fixture(autouse=True, scope="module")
def packages() -> None:
    """The packages of the lock file; where npm reaches no registry the test is skipped, and says so."""
    if not INSTALLED.is_file():
        done = _run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
        if done.returncode != 0:
            pytest.skip("npm cannot install the packages here: " + done.stderr.strip().splitlines()[-1])


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "no_proxy": "*"}
    return subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=110, check=False)


def _build() -> None:
    for script in ("generate", "build"):
        done = _run("npm", "run", "--silent", script)
        assert done.returncode == 0, f"{script}: {done.stdout}\n{done.stderr}"


def _misuse() -> subprocess.CompletedProcess[str]:
    """Type-check a line that the contract does not allow."""
    wrong = HERE / "node_modules" / ".story" / "wrong.ts"
    wrong.write_text(
        'import type { components } from "../../generated.js";\n'
        'export const status: components["schemas"]["BidStatus"] = "Sold";\n'
    )
    return _run("node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck", str(wrong))


@pytest.mark.timeout(300)
async def test_the_generated_client_type_checks_and_tells_the_story(dsn: str, tmp_path: Path) -> None:
    await asyncio.to_thread(_build)
    with serving(dsn, tmp_path) as address:
        told = await asyncio.to_thread(_run, "node", "node_modules/.story/story.js", address)
    assert told.returncode == 0, f"{told.stdout}\n{told.stderr}"
    assert told.stdout == "The deal is done.\n"
    misused = await asyncio.to_thread(_misuse)
    assert misused.returncode != 0, "a status that there is not should not type-check"
    assert "Sold" in misused.stdout
