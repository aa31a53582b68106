"""R2, R3 and R9, a few rounds over two processes. The long forms are `stampedes`, `terms` and `bulk`."""

from __future__ import annotations

import asyncio

from tests.faults import invariants
from tests.faults.arena import Arena
from tests.faults.conftest import pair, shared_folder
from tests.faults.servers import Pair
from tests.races import rounds

__all__ = ["pair", "shared_folder"]


async def test_what_is_committed_is_what_both_approved(pair: Pair) -> None:
    races = rounds.Races(Arena(pair.dsn, pair.urls))
    await races.build()
    await asyncio.gather(*(races.round(number) for number in range(12)))
    await invariants.must_hold(pair.dsn)


async def test_bulk_calls_in_any_order_over_two_processes_do_not_deadlock(pair: Pair) -> None:
    bulk = rounds.Bulk(Arena(pair.dsn, pair.urls))
    await bulk.build()
    await bulk.round(0)
