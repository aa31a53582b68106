"""R9: bulk calls with shuffled and repeated ids against each other: no deadlock, a repeated id counts once."""

from __future__ import annotations

import asyncio
import random

import httpx2

from tests.factories.people import Person
from tests.factories.world import World, ok
from tests.faults import invariants

CALLS, ROWS = 10, 200


async def load(merchant: Person, numbers: list[int], price: int) -> httpx2.Response:
    lines = [f"Thermos {number},{price},40,item-{number}" for number in numbers]
    content = "\n".join(["title,price,margin,externalId", *lines]).encode()
    return await merchant.post("/skus/bulk", files={"file": ("catalogue.csv", content)})


async def test_catalogues_in_any_order_load_against_each_other(world: World, dsn: str) -> None:
    merchant = await world.merchant()
    dice = random.Random(1)
    orders = [dice.sample(range(ROWS), ROWS) for _ in range(CALLS)]
    answers = await asyncio.gather(*(load(merchant, order, 10 + price) for price, order in enumerate(orders)))
    counts = [ok(answer) for answer in answers]
    assert [found["count"] for found in counts] == [ROWS] * CALLS
    assert sum(found["created"] for found in counts) == ROWS, "each item is made once, and updated by all the others"
    skus = ok(await merchant.get("/skus"))
    assert len({each["externalId"] for each in skus}) == len(skus) == ROWS
    assert len({each["price"] for each in skus}) == 1, "the last catalogue stands whole"
    await invariants.must_hold(dsn)


async def test_invitees_in_any_order_and_twice_are_invited_once(world: World, dsn: str) -> None:
    creator = await world.creator()
    slots = [await world.slot(creator, visibility="Private") for _ in range(2)]
    buyers = [(await world.advertiser()).id for _ in range(12)]
    dice = random.Random(1)

    async def invite(slot: str) -> httpx2.Response:
        ids = dice.choices(buyers, k=20)
        return await creator.put(f"/slots/{slot}/invitees", {"userIds": ids})

    for answer in await asyncio.gather(*(invite(slot["id"]) for slot in slots for _ in range(CALLS))):
        invited = ok(answer)["userIds"]
        assert len(set(invited)) == len(invited)
    await invariants.must_hold(dsn)
