"""R1, the short form: one seed. `python -m tests.faults races --seeds 5` is the long one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.running import data_folder
from tests.faults.arena import Arena
from tests.faults.servers import two_workers
from tests.races import driver

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


def test_sixty_four_clients_on_fifty_slots_break_no_invariant(folder: Path) -> None:
    with two_workers(folder, **driver.SHORT_LIVES) as (server, dsn):
        known = asyncio.run(fought(dsn, server.url, seed=1, calls=800))
        assert server.stop() == 0
    # The fight was one: all of these were reached, and some lost.
    for reached in ("place 201", "approve 200", "commit 201", "deliver 200", "approve 409 slot_locked", "terms 200"):
        assert known.answers[reached] > 0, known.answers


async def fought(dsn: str, url: str, seed: int, calls: int) -> driver.Known:
    """One seed, judged."""
    arena = Arena(dsn, [url])
    await driver.build(arena)
    known = await driver.fight(arena, seed, calls)
    await driver.settle(arena, known)
    await driver.judge(arena, known)
    return known
