"""A server that ends while its owner lives is started again by its owner."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import asyncpg

from backend.integrations.postgres import embedded_postgres
from tests.integrations.test_postgres import folder, owner, postmaster, run

__all__ = ["folder"]


def answers(dsn: str) -> bool:
    try:
        return bool(run(dsn, "SELECT true"))
    except (OSError, asyncpg.PostgresError):
        return False


def kill_and_wait(folder: Path, dsn: str, number: int) -> None:
    before = postmaster(folder)
    os.kill(before, number)
    deadline = time.monotonic() + 30
    while not (folder / "postgres" / "data" / "postmaster.pid").exists() or postmaster(folder) == before:
        assert time.monotonic() < deadline, "it is not started again"
        time.sleep(0.02)
    while not answers(dsn):
        assert time.monotonic() < deadline, "it does not answer again"
        time.sleep(0.02)


def test_a_killed_server_answers_again_under_the_same_address_with_what_was_committed(folder: Path) -> None:
    with embedded_postgres(folder) as dsn:
        run(dsn, "CREATE TABLE kept AS SELECT 1 AS it")
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
            kill_and_wait(folder, dsn, number)
            assert run(dsn, "SELECT it FROM kept") == 1
        last = postmaster(folder)
    assert not Path(f"/proc/{last}").exists(), "the restarted server outlived its owner's block"


def test_a_restarted_server_ends_with_its_killed_owner(folder: Path) -> None:
    with owner(folder) as (process, ready):
        dsn = ready().strip()
        kill_and_wait(folder, dsn, signal.SIGKILL)
        last = postmaster(folder)
        process.kill()
        process.wait()
        deadline = time.monotonic() + 30
        while Path(f"/proc/{last}").exists():
            assert time.monotonic() < deadline, "the restarted server outlived its owner"
            time.sleep(0.02)
