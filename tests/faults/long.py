"""The long forms of the faults: each starts what it needs, holds the promise's own limits, and says what it saw."""

from __future__ import annotations

import asyncio

from tests.commands.running import data_folder
from tests.faults import kills
from tests.faults.servers import two_workers


def _kills(rounds: int, *, postgres: bool) -> str:
    with data_folder() as folder, two_workers(folder) as (server, dsn):
        notes = asyncio.run(kills.under_fire(server, folder, dsn, rounds, postgres=postgres))
        assert server.stop() == 0
    words = (
        f"{rounds} kills, {notes.acknowledged} acknowledged writes all there, {notes.unanswered} calls cut off, "
        f"{notes.refused} answered 503 within {notes.slowest_refusal:.2f} s at most, "
        f"well again after {notes.slowest_healing:.2f} s at most"
    )
    assert notes.slowest_healing < kills.HEAL_SECONDS, words
    assert notes.slowest_refusal < kills.ANSWER_SECONDS, words
    return words


def api_kills(rounds: int) -> str:
    """R5."""
    return _kills(rounds, postgres=False)


def postgres_kills(rounds: int) -> str:
    """R6."""
    return _kills(rounds, postgres=True)
