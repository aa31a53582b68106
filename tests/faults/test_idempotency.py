"""R4: one effect and one answer for a key, over two processes, through a restart, for its own caller and call only."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.faults.arena import Arena, connected, made
from tests.faults.servers import Pair, two_servers
from tests.faults.wire import Answer, Wire

pytestmark = pytest.mark.timeout(120)
BODY = {"amount": 500, "objective": "Awareness"}


async def at_once(arena: Arena, count: int, path: str, body: Any, key: str) -> list[Answer]:
    """The same call this many times together, over both processes, each on a connection of its own."""

    async def one(number: int) -> Answer:
        async with arena.wire(arena.buyers[0], number) as wire:
            return await wire.call("POST", path, body, **{"idempotency-key": key})

    return await asyncio.gather(*(one(number) for number in range(count)))


def replayed(answer: Answer) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


async def test_a_key_used_a_hundred_times_at_once_has_one_effect_and_one_answer(arena: Arena) -> None:
    for number, slot in enumerate(arena.slots[:2]):
        answers = await at_once(arena, 100, f"/slots/{slot}/bids", BODY, f"key {number}")
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body for answer in answers}) == 1, "byte for byte"
        assert [replayed(answer) for answer in answers].count(False) == 1
        async with connected(arena.dsn) as connection:
            assert await connection.fetchval("SELECT count(*) FROM bids WHERE slot_id = $1", slot) == 1
            events = "SELECT count(*) FROM events JOIN bids ON bids.id = bid_id WHERE slot_id = $1"
            assert await connection.fetchval(events, slot) == 1


async def test_a_key_stands_for_its_own_caller_call_and_body_and_survives_a_restart(
    arena: Arena, pair: Pair, tmp_path: Path
) -> None:
    slot, other = arena.slots[:2]
    mine, rival = arena.buyers
    key = {"idempotency-key": "the same"}
    async with arena.wire(mine) as wire:
        first = await wire.call("POST", f"/slots/{slot}/bids", BODY, **key)
        assert first.status == 201
        for path, body in ((f"/slots/{slot}/bids", {**BODY, "amount": 501}), (f"/slots/{other}/bids", BODY)):
            refused = await wire.call("POST", path, body, **key)
            assert (refused.status, refused.code) == (422, "idempotency_key_reused")
    async with arena.wire(rival, 1) as wire:
        independent = await wire.call("POST", f"/slots/{slot}/bids", BODY, **key)
        assert independent.status == 201
        assert independent.json()["id"] != first.json()["id"]

    # Another process, started afterwards, knows nothing but the database.
    with two_servers(tmp_path, pair.dsn, count=1) as started:
        async with Wire(started[0].url, mine.token) as wire:
            answer = await wire.call("POST", f"/slots/{slot}/bids", BODY, **key)
    assert (answer.status, answer.body, replayed(answer)) == (201, first.body, True)


async def test_a_refusal_is_not_kept_and_is_judged_anew(arena: Arena) -> None:
    slot, creator, buyer = arena.slots[0], arena.creators[0], arena.buyers[0]
    low = {**BODY, "amount": 60}
    key = {"idempotency-key": "judged anew"}
    async with arena.wire(buyer) as wire:
        assert (await wire.call("POST", f"/slots/{slot}/bids", low, **key)).code == "below_floor"
        assert (await wire.call("POST", f"/slots/{slot}/bids", {**BODY, "amount": "no"}, **key)).status == 422
        async with connected(arena.dsn) as connection:
            kept = "SELECT count(*) FROM idempotency_keys WHERE user_id = $1"
            assert await connection.fetchval(kept, buyer.id) == 0
        made(await wire.call("PATCH", f"/slots/{slot}", {"pricingFloor": 50}, token=creator.token))
        assert (await wire.call("POST", f"/slots/{slot}/bids", low, **key)).status == 201
