"""R1, the long form: 64 clients, 50 slots, two processes, a new database for each seed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter

from tests.commands.running import data_folder
from tests.faults.servers import two_workers
from tests.races import driver
from tests.races.test_driver import fought

CALLS = 4000


def races(seeds: int) -> str:
    """Fight with each seed; answers what was done altogether."""
    done: Counter[str] = Counter()
    for seed in range(1, seeds + 1):
        with data_folder() as folder, two_workers(folder, **driver.SHORT_LIVES) as (server, dsn):
            known = asyncio.run(fought(dsn, server.url, seed, CALLS))
            assert server.stop() == 0
        done.update(known.answers)
        print(f"seed {seed}: {sum(known.answers.values())} calls", flush=True)
    changes = sum(count for answer, count in done.items() if answer.split()[-1].startswith("20"))
    return f"{seeds} seeds, {sum(done.values())} calls, {changes} of them done, {done['commit 201']} answers to commit"


def stampedes(rounds: int) -> str:
    """R2 and R3: 32 rivals and 32 repeats, and the same with the guards removed."""
    env = {**os.environ, "STAMPEDE_RIVALS": "32"}
    command = [sys.executable, "-m", "pytest", "-q", "--show-capture=no", "tests/races/test_stampedes.py"]
    for _ in range(rounds):
        assert subprocess.run(command, env=env, check=False).returncode == 0, "what went wrong stands above"
    return f"{rounds} rounds of every stampede with 32 rivals and 32 repeats: one winner each; without guards, more"
