"""Known holes in what the service runs on: `python -m tests.advisories` asks pip-audit and fails when there is one.

It asks for every part that is installed, those too that the ones in requirements.txt bring with them.

Without an index that has advisories it says so and passes: that nothing was found there means nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from tests.parts import installed

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip"]


def judged(report: dict[str, Any]) -> tuple[int, list[str]]:
    """How many packages were looked up, and a line for each hole."""
    looked_up = [each for each in report["dependencies"] if "skip_reason" not in each]
    holes = [
        f"{each['name']} {each['version']}: {hole['id']} (fixed in {', '.join(hole['fix_versions']) or 'no version'})"
        for each in looked_up
        for hole in each["vulns"]
    ]
    return len(looked_up), holes


def main() -> int:
    """Run pip-audit and print what it found."""
    try:
        with NamedTemporaryFile("w", suffix=".txt") as whole:
            whole.writelines(f"{name}=={version}\n" for name, version in installed(ROOT / "requirements.txt").items())
            whole.flush()
            done = subprocess.run(
                [*COMMAND, "--requirement", whole.name, "--format", "json", "--progress-spinner", "off"],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        looked_up, holes = judged(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        looked_up, holes = 0, []
    except ValueError:
        if "onnect" not in done.stderr:  # it has failed for another reason than that there is no way out
            print(f"pip-audit failed: {done.stderr.strip()[-500:]}")
            return 1
        looked_up, holes = 0, []
    if looked_up == 0:
        print("pip-audit reached no index with advisories from here: nothing was looked up.")
        return 0
    for line in holes:
        print(line)
    print(f"{looked_up} packages were looked up, {len(holes)} holes are known.")
    return 1 if holes else 0


if __name__ == "__main__":
    raise SystemExit(main())
