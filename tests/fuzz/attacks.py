"""One identity against its own server, as often as asked."""

from __future__ import annotations

from pathlib import Path

import httpx2

from tests.fuzz.identities import served, token_of
from tests.fuzz.runner import PHASES, Outcome, configured, run

# One's account ends with it, so it is called last.
LAST = "deleteMe"


def attack(server: str, folder: Path, name: str, cases: int, seed: int) -> Outcome:
    """At least so many cases by one identity: every phase first, then data of other seeds until there are enough."""
    found = Outcome()
    with served(server, folder, name) as (running, dsn):
        token = token_of(running.url, dsn, name)
        document = httpx2.get(f"{running.url}/openapi.json").json()
        phases: tuple[str, ...] = PHASES
        most = 8
        while found.cases < cases:
            config = configured(running.url, token, most=most, seed=seed, phases=phases)
            found.add(run(document, config, lambda operation_id: operation_id != LAST))
            phases, most, seed = ("fuzzing", "stateful"), 40, seed + 1
        if name not in ("nobody", "disabled"):
            me = httpx2.get(f"{running.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})
            assert me.status_code == 200, f"{name} had lost the session on the way: {me.text}"
        config = configured(running.url, token, most=8, seed=seed, phases=("examples", "coverage", "fuzzing"))
        found.add(run(document, config, lambda operation_id: operation_id == LAST))
        log = running.log.read_text()
        if "Traceback" in log:
            found.failures["the log", "no traceback"] = log[log.index("Traceback") :][-3000:]
    return found
