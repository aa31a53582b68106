"""The load generator: wrk, replaying calls from a file."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SCRIPT = Path(__file__).with_name("replay.lua")


class Call(NamedTuple):
    """One request."""

    method: str
    path: str
    token: str
    body: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What a round of load met: latencies in milliseconds, answers outside 2xx, connections that broke."""

    requests: int
    seconds: float
    p50: float
    p99: float
    refused: int
    broken: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def run(port: int, calls: Sequence[Call], *, clients: int, seconds: float, threads: int = 1) -> Load:
    """Replay the calls, over and over, for so many seconds. Raises RuntimeError with wrk's own words when it fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.writelines("\t".join(call) + "\n" for call in calls)
        file.flush()
        command = ["wrk", f"-t{threads}", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT)]
        command += [f"http://127.0.0.1:{port}", "--", file.name]
        environment = {**os.environ, "WRK_THREADS": str(threads)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            return Load(**json.loads(line.removeprefix("RESULT ")))
    raise RuntimeError(done.stdout + done.stderr)
