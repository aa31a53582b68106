"""The long forms of the promises' tests: `python -m tests.faults NAME [--rounds N] [--seeds N]`; NAME `all` runs each.

Every one starts its own server and database, prints what it measured, and ends with 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

# Name, the function `module:name(rounds)` that runs it, the number of rounds that the promise names.
LONG = {
    "races": ("tests.races.long:races", 5),
    "stampedes": ("tests.races.long:stampedes", 100),
    "terms": ("tests.races.long:terms", 500),
    "keys": ("tests.faults.long:keys", 50),
    "commits": ("tests.faults.long:commits", 1000),
    "bulk": ("tests.races.long:bulk", 50),
    "hangs": ("tests.faults.long:hangs", 10),
    "unguarded": ("tests.faults.long:unguarded", 1),
    "api-kills": ("tests.faults.long:api_kills", 200),
    "postgres-kills": ("tests.faults.long:postgres_kills", 40),
    "vanishing": ("tests.faults.long:vanishing_clients", 2000),
    "stops": ("tests.faults.long:stops", 50),
    "slow-clients": ("tests.faults.long:slow_clients", 500),
    "hashing": ("tests.security.long:hashing", 10),
    "timing": ("tests.security.long:timing", 500),
    "catalogue": ("tests.security.long:catalogue", 1_000_000),
    "sign-ins": ("tests.security.long:sign_ins", 200),
    "model": ("tests.model.long:model", 500),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("name", choices=[*LONG, "all"])
    parser.add_argument("--rounds", "--seeds", type=int, help="how often; the promise's own number unless told")
    given = parser.parse_args()
    broken = 0
    for name in LONG if given.name == "all" else [given.name]:
        (module, _, function), rounds = LONG[name][0].partition(":"), LONG[name][1]
        started = time.monotonic()
        try:
            line = getattr(importlib.import_module(module), function)(given.rounds or rounds)
        except AssertionError as error:
            broken += 1
            print(f"BROKEN {name}: {error}", flush=True)
        else:
            print(f"kept   {name}: {line} ({time.monotonic() - started:.0f} s)", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
