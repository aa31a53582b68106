"""R4: one effect and one answer for an Idempotency-Key, however often and wherever it is used."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.faults.arena import Arena, Member, connected
from tests.faults.wire import Answer, Wire

BODY = {"amount": 500, "objective": "Awareness"}


async def at_once(arena: Arena, count: int, path: str, body: Any, key: str) -> list[Answer]:
    """The same call this many times together, over all processes, each on a connection of its own."""

    async def one(number: int) -> Answer:
        async with arena.wire(arena.buyers[0], number) as wire:
            return await wire.call("POST", path, body, **{"idempotency-key": key})

    return await asyncio.gather(*(one(number) for number in range(count)))


def replayed(answer: Answer) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


async def must_have_one_effect(arena: Arena, slot: str, key: str, calls: int = 100) -> Answer:
    """A bid is placed so often under one key; answers the one answer."""
    answers = await at_once(arena, calls, f"/slots/{slot}/bids", BODY, key)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1, "byte for byte"
    assert [replayed(answer) for answer in answers].count(False) == 1
    async with connected(arena.dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM bids WHERE slot_id = $1", slot) == 1
        events = "SELECT count(*) FROM events JOIN bids ON bids.id = bid_id WHERE slot_id = $1"
        assert await connection.fetchval(events, slot) == 1
    return answers[0]


async def must_stand_for_its_own(arena: Arena, slot: str, other: str, first: Answer, key: str) -> None:
    """Another body or route is refused; another caller is independent."""
    mine, rival = arena.buyers[:2]
    named = {"idempotency-key": key}
    async with arena.wire(mine) as wire:
        for path, body in ((f"/slots/{slot}/bids", {**BODY, "amount": 501}), (f"/slots/{other}/bids", BODY)):
            refused = await wire.call("POST", path, body, **named)
            assert (refused.status, refused.code) == (422, "idempotency_key_reused")
    async with arena.wire(rival, 1) as wire:
        independent = await wire.call("POST", f"/slots/{slot}/bids", BODY, **named)
        assert independent.status == 201
        assert independent.json()["id"] != first.json()["id"]


async def must_be_known_at(url: str, caller: Member, slot: str, first: Answer, key: str) -> None:
    """A process that was started afterwards, and knows nothing but the database, gives the same answer."""
    async with Wire(url, caller.token) as wire:
        answer = await wire.call("POST", f"/slots/{slot}/bids", BODY, **{"idempotency-key": key})
    assert (answer.status, answer.body, replayed(answer)) == (201, first.body, True)
