"""S15: Schemathesis over the whole of openapi.json, with all its checks, as six identities.

`python -m tests.fuzz [--cases 50000] [--seed N] [--only IDENTITY] [--processes 2]` starts its own database and servers,
prints what it found, and ends with 1 when anything failed. What is not counted as a failure stands, with its reason,
in `tests/fuzz/exclusions.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from backend.integrations.postgres import embedded_postgres
from tests.commands.running import data_folder
from tests.fuzz.attacks import attack
from tests.fuzz.identities import IDENTITIES, prepare
from tests.fuzz.runner import Outcome


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=50_000, help="how many requests at least, of all identities")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=IDENTITIES, help="one identity")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    names = [given.only] if given.only else list(IDENTITIES)
    total, started = Outcome(), time.monotonic()
    with (
        data_folder() as folder,
        embedded_postgres(folder, durable=False) as server,
        ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as pool,
    ):
        prepare(server, folder)
        share = -(-given.cases // len(names))
        runs = {pool.submit(attack, server, folder, name, share, given.seed): name for name in names}
        for done in as_completed(runs):
            found = done.result()
            total.add(found)
            answers = ", ".join(f"{count} × {status}" for status, count in sorted(found.statuses.items()))
            print(f"{runs[done]}: {found.cases} cases, {len(found.failures)} failures; {answers}", flush=True)
            for (operation, check), told in found.failures.items():
                print(f"  {operation} · {check}\n    {told}", flush=True)
    print(f"{total.cases} cases, {len(total.failures)} kinds of failure ({time.monotonic() - started:.0f} s)")
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
