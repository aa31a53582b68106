"""R4: one effect and one answer for a key, over two processes, through a restart, for its own caller and call only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backend.dependencies import idempotency
from tests.factories.world import World, ok
from tests.faults import keys
from tests.faults.arena import Arena, connected, made
from tests.faults.servers import Pair, two_servers

pytestmark = pytest.mark.timeout(120)


async def test_a_key_used_a_hundred_times_at_once_has_one_effect_and_one_answer(arena: Arena) -> None:
    for number, slot in enumerate(arena.slots[:2]):
        await keys.must_have_one_effect(arena, slot, f"key {number}")


async def test_a_key_stands_for_its_own_caller_call_and_body_and_survives_a_restart(
    arena: Arena, pair: Pair, tmp_path: Path
) -> None:
    slot, other = arena.slots[:2]
    first = await keys.must_have_one_effect(arena, slot, "the same", calls=2)
    await keys.must_stand_for_its_own(arena, slot, other, first, "the same")
    with two_servers(tmp_path, pair.dsn, count=1) as started:
        await keys.must_be_known_at(started[0].url, arena.buyers[0], slot, first, "the same")


async def test_without_its_claim_a_key_has_as_many_effects_as_calls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    path = f"/bids/{(await world.bid(buyer, await world.slot(creator)))['id']}/comments"
    monkeypatch.setattr(idempotency, "claim", _nothing)
    monkeypatch.setattr(idempotency, "keep", _nothing)
    calls = [buyer.post(path, {"text": "Hello"}, headers={"Idempotency-Key": "same"}) for _ in range(5)]
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {201}
    assert len(ok(await buyer.get(path))) == 5


async def _nothing(*_: object) -> None:
    return None


async def test_a_refusal_is_not_kept_and_is_judged_anew(arena: Arena) -> None:
    slot, creator, buyer = arena.slots[0], arena.creators[0], arena.buyers[0]
    low = {**keys.BODY, "amount": 60}
    key = {"idempotency-key": "judged anew"}
    async with arena.wire(buyer) as wire:
        assert (await wire.call("POST", f"/slots/{slot}/bids", low, **key)).code == "below_floor"
        assert (await wire.call("POST", f"/slots/{slot}/bids", {**keys.BODY, "amount": "no"}, **key)).status == 422
        async with connected(arena.dsn) as connection:
            kept = "SELECT count(*) FROM idempotency_keys WHERE user_id = $1"
            assert await connection.fetchval(kept, buyer.id) == 0
        made(await wire.call("PATCH", f"/slots/{slot}", {"pricingFloor": 50}, token=creator.token))
        assert (await wire.call("POST", f"/slots/{slot}/bids", low, **key)).status == 201
