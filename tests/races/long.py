"""The long forms of the races: R1 with a new database for each seed, R2, R3 and R9 round by round."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter

from tests.commands.running import data_folder
from tests.faults import invariants
from tests.faults.arena import Arena
from tests.faults.servers import two_processes, two_workers
from tests.races import driver, rounds
from tests.races.test_driver import fought

CALLS = 4000
# What must have happened somewhere among five seeds, so that the fight was one of everybody against everybody.
WANTED = {
    *("place 201", "place 409 slot_locked", "place 409 slot_sold", "place 409 already_bid", "terms 200", "approve 200"),
    *("approve 409 slot_locked", "approve 409 terms_changed", "decline 200", "withdraw 200", "commit 201"),
    *("deliver 200", "confirm 200", "reject 200", "cancel 200", "edit slot 200", "delete slot 204"),
    *("delete slot 409 slot_held", "delete project 204", "delete project 409 slot_held", "operator declines 200"),
    *("operator withdraws 200", "operator delivers 200", "operator confirms 200", "operator cancels 200"),
}


def races(seeds: int) -> str:
    """Fight with each seed; answers what was done altogether."""
    done: Counter[str] = Counter()
    for seed in range(1, seeds + 1):
        with data_folder() as folder, two_workers(folder, **driver.SHORT_LIVES) as (server, dsn):
            known = asyncio.run(fought(dsn, server.url, seed, CALLS))
            assert server.stop() == 0
        done.update(known.answers)
        print(f"seed {seed}: {sum(known.answers.values())} calls", flush=True)
    assert seeds < 5 or set(done) >= WANTED, f"nobody did this: {sorted(WANTED - set(done))}"
    changes = sum(count for answer, count in done.items() if answer.split()[-1].startswith("20"))
    return f"{seeds} seeds, {sum(done.values())} calls, {changes} of them done, {done['commit 201']} answers to commit"


def stampedes(count: int) -> str:
    """R2: 32 rivals and 32 repeats, round by round; then the same without the guards."""

    async def run(arena: Arena) -> None:
        fight = rounds.Stampedes(arena, 32)
        await fight.build()
        for _ in range(count):
            await fight.round()
        await invariants.must_hold(arena.dsn)

    with two_processes(**rounds.IN_LINE) as pair:
        asyncio.run(run(Arena(pair.dsn, pair.urls)))
    env = {**os.environ, "STAMPEDE_RIVALS": "32"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--show-capture=no",
        "tests/races/test_stampedes.py",
        "-k",
        "without",
    ]
    assert subprocess.run(command, env=env, check=False).returncode == 0, "what went wrong stands above"
    return f"{count} rounds of three stampedes of 32 rivals and 32 repeats: one winner each; without guards, more"


def terms(count: int) -> str:
    """R3: new terms against approve and commit."""

    async def run(arena: Arena) -> Counter[str]:
        races = rounds.Races(arena)
        await races.build()
        for start in range(0, count, 8):
            await asyncio.gather(*(races.round(number) for number in range(start, min(start + 8, count))))
        await invariants.must_hold(arena.dsn)
        return races.seen

    with two_processes() as pair:
        seen = asyncio.run(run(Arena(pair.dsn, pair.urls)))
    assert count < 100 or len(seen) >= 6, f"nobody met anybody: {seen}"
    return f"{count} races: what was committed is what both approved; " + ", ".join(
        f"{outcome} {times} times" for outcome, times in sorted(seen.items())
    )


def bulk(count: int) -> str:
    """R9: catalogues and invitations in any order."""

    async def run(arena: Arena) -> None:
        calls = rounds.Bulk(arena)
        await calls.build()
        for number in range(count):
            await calls.round(number)

    with two_processes() as pair:
        asyncio.run(run(Arena(pair.dsn, pair.urls)))
    return (
        f"{count} rounds of {rounds.CATALOGUES} catalogues of {rounds.ROWS} shuffled rows and {rounds.INVITATIONS} "
        "invitations at once: no deadlock, each item made once"
    )
