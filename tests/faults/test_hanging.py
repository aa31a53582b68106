"""A PostgreSQL that hangs takes connections and answers nothing. Nobody waits for it, and all is well afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from backend.core import database as core
from backend.core.config import Settings
from tests.factories.refusals import refused
from tests.factories.world import World, ok
from tests.faults import invariants
from tests.faults.arena import until
from tests.faults.proxy import Proxy, proxied

ANSWER_SECONDS = 4.0
HEALTH_SECONDS = 1.2  # its turn and its answer have 0.3 s each here


@pytest.fixture
async def behind_proxy(dsn: str) -> AsyncIterator[tuple[str, Proxy]]:
    async with proxied(dsn) as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path, behind_proxy: tuple[str, Proxy], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two connections through the proxy, and little patience."""
    monkeypatch.setattr(core, "HANG_SECONDS", 0.2)
    return Settings(
        _env_file=None,
        app_env="test",
        database_url=SecretStr(behind_proxy[0]),
        data_dir=tmp_path,
        jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
        db_pool_size=2,
        db_wait_seconds=0.3,
        db_statement_seconds=0.5,
    )


async def test_a_database_that_hangs_is_503_for_everyone_and_the_service_heals_when_it_wakes(
    world: World, dsn: str, behind_proxy: tuple[str, Proxy]
) -> None:
    proxy = behind_proxy[1]
    creator, buyer = await world.creator(), await world.advertiser()
    slots = [await world.slot(creator) for _ in range(4)]
    await asyncio.gather(*(buyer.get("/bids") for _ in range(4)))
    proxy.awake.clear()
    loop = asyncio.get_running_loop()
    started = loop.time()
    calls = [buyer.post(f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "x"}) for slot in slots]
    answers = await asyncio.gather(*calls, *(buyer.get("/bids") for _ in range(4)), creator.get("/slots"))
    assert loop.time() - started < ANSWER_SECONDS
    for answer in answers:
        refused(answer, 503)
        assert answer.headers["retry-after"] == "1"
    started = loop.time()
    health = await world.client.get("/healthz")
    assert (health.status_code, health.headers["retry-after"]) == (503, "1")
    assert loop.time() - started < HEALTH_SECONDS
    assert (await world.client.get("/healthz/live")).status_code == 200

    proxy.awake.set()

    async def well() -> bool:
        return (await buyer.get("/bids")).status_code == 200

    await until(well, 5, "the service does not heal")
    for slot in slots:
        ok(await buyer.post(f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "x"}))
    await invariants.must_hold(dsn)


async def test_a_commit_into_silence_is_503(world: World, behind_proxy: tuple[str, Proxy]) -> None:
    proxy = behind_proxy[1]
    creator = await world.creator()
    proxy.sleep_at_commit = True
    started = asyncio.get_running_loop().time()
    refused(await creator.patch("/auth/me", {"name": "Cleo"}), 503, "database_unavailable")
    assert asyncio.get_running_loop().time() - started < ANSWER_SECONDS
    proxy.awake.set()
    assert ok(await creator.get("/auth/me"))["name"] != "", "served again"
