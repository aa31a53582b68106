"""What the service is made of: `python -m tests.parts` prints a bill of materials (CycloneDX)."""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def direct(requirements: Path) -> list[Requirement]:
    """The parts that a requirements file names."""
    lines = (line.partition("#")[0].strip() for line in requirements.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def installed(requirements: Path) -> dict[str, str]:
    """Every part that these bring with them on this machine, by name, with the version that is installed."""
    found: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    waiting = direct(requirements)
    while waiting:
        part = waiting.pop()
        part_name = canonicalize_name(part.name)
        for extra in ("", *part.extras):
            if (part_name, extra) in seen:
                continue
            seen.add((part_name, extra))
            its = distribution(part.name)
            found[part_name] = its.version
            needs = [Requirement(each) for each in its.requires or ()]
            waiting += [each for each in needs if each.marker is None or each.marker.evaluate({"extra": extra})]
    return dict(sorted(found.items()))


def bill() -> dict[str, Any]:
    """The bill of materials of what production runs on."""
    components = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in installed(ROOT / "requirements.txt").items()
    ]
    program = re.search(r'VERSION = "(.+)"', (ROOT / "backend" / "core" / "version.py").read_text())
    about = {"component": {"type": "application", "name": "backdrop", "version": program[1] if program else ""}}
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": about, "components": components}


if __name__ == "__main__":
    print(json.dumps(bill(), indent=2))
