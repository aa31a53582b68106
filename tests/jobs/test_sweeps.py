"""Old idempotency keys are deleted, young ones never."""

from __future__ import annotations

import asyncpg

from backend.core.database import Database
from backend.jobs.sweeps import sweep_keys
from backend.jobs.worker import JOBS
from tests.factories.world import World, ok


async def test_a_key_is_kept_for_its_time_and_swept_after_it(
    world: World, database: Database, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    bid = await world.bid(buyer, await world.slot(creator))
    path = f"/bids/{bid['id']}/comments"
    for number in range(3):
        ok(await buyer.post(path, {"text": "Hello"}, headers={"Idempotency-Key": f"old {number}"}))
    world.advance(hours=25)
    buyer = await world.log_in(str(buyer.user and buyer.user["email"]))
    assert await sweep_keys(database) == 0
    again = await buyer.post(path, {"text": "Hello"}, headers={"Idempotency-Key": "old 0"})
    assert again.headers["idempotent-replayed"] == "true"

    ok(await buyer.post(path, {"text": "Hello"}, headers={"Idempotency-Key": "young"}))
    world.advance(hours=24)
    assert await sweep_keys(database, limit=2) == 2
    assert await sweep_keys(database, limit=2) == 1
    assert [row["key"] for row in await sql.fetch("SELECT key FROM idempotency_keys")] == ["young"]


def test_the_worker_sweeps() -> None:
    assert sweep_keys in JOBS
