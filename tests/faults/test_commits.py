"""R7: no 2xx before the row is durable, and everyone sees what was answered 2xx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.database import Database
from tests.factories.refusals import refused
from tests.factories.world import World, ok
from tests.faults import invariants
from tests.faults.arena import Arena, made
from tests.faults.proxy import Proxy, proxied

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
RAISE_AT_COMMIT = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
    CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON comments DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.text = 'fail at commit') EXECUTE FUNCTION fail();
"""


@pytest.fixture
async def behind_proxy(dsn: str) -> AsyncIterator[tuple[str, Proxy]]:
    async with proxied(dsn) as found:
        yield found


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path, dsn: str, behind_proxy: tuple[str, Proxy]) -> Settings:
    """A service that reaches its database through the proxy, with two connections."""
    return Settings(
        _env_file=None,
        app_env="test",
        database_url=SecretStr(behind_proxy[0]),
        data_dir=tmp_path,
        jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
        db_pool_size=2,
        db_wait_seconds=0.5,
    )


async def test_a_commit_that_fails_is_never_answered_with_success(world: World, sql: Sql) -> None:
    await sql.execute(RAISE_AT_COMMIT)
    creator, buyer = await world.creator(), await world.advertiser()
    path = f"/bids/{(await world.bid(buyer, await world.slot(creator)))['id']}/comments"
    for number in range(20):
        body = {"text": "fail at commit" if number % 2 else "stays"}
        answer = await buyer.post(path, body, headers={"Idempotency-Key": str(number)})
        assert answer.status_code == (500 if number % 2 else 201)
    assert await sql.fetchval("SELECT count(*) FROM comments WHERE text = 'fail at commit'") == 0
    assert await sql.fetchval("SELECT count(*) FROM idempotency_keys") == 10, "a key goes with its effect"
    assert len(ok(await buyer.get(path))) == 10


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_connection_cut_during_commit_is_503_and_the_same_key_finds_out(
    world: World, sql: Sql, dsn: str, behind_proxy: tuple[str, Proxy], how: str
) -> None:
    proxy = behind_proxy[1]
    creator, buyer = await world.creator(), await world.advertiser()
    for number in range(5):
        slot = await world.slot(creator)
        path, body = f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "Awareness"}
        key = {"Idempotency-Key": f"cut {number}"}
        proxy.cut = "before" if how == "before" else "after"
        problem = refused(await buyer.post(path, body, headers=key), 503, "database_unavailable")
        assert problem["detail"]
        there = await sql.fetchval("SELECT count(*) FROM bids WHERE slot_id = $1", slot["id"])
        assert there == (1 if how == "after" else 0)
        again = await buyer.post(path, body, headers=key)
        assert again.status_code == 201
        assert again.headers.get("idempotent-replayed") == ("true" if how == "after" else None)
        assert await sql.fetchval("SELECT count(*) FROM bids WHERE slot_id = $1", slot["id"]) == 1
    assert proxy.cuts == 5
    await invariants.must_hold(dsn)


async def test_when_all_connections_are_taken_the_next_is_told_to_try_again(world: World, database: Database) -> None:
    buyer = await world.advertiser()
    async with database.reading(), database.reading():
        started = asyncio.get_running_loop().time()
        answer = await buyer.get("/bids")
        assert asyncio.get_running_loop().time() - started < 5
        refused(answer, 503, "busy")
        assert answer.headers["retry-after"] == "1"
    ok(await buyer.get("/bids"))


async def test_what_one_process_answered_every_other_process_sees(arena: Arena) -> None:
    buyer, slot = arena.buyers[0], arena.slots[0]
    async with arena.wire(buyer, 0) as here, arena.wire(buyer, 1) as there:
        bid = made(await here.call("POST", f"/slots/{slot}/bids", {"amount": 500, "objective": "Awareness"}))
        for version in range(1, 50):
            body = {"baseVersion": version, "amount": 500 + version}
            made(await here.call("POST", f"/bids/{bid['id']}/terms", body))
            seen = made(await there.call("GET", f"/bids/{bid['id']}"))
            assert (seen["termsVersion"], seen["amount"]) == (version + 1, 500 + version)
