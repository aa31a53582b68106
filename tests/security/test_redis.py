"""The limits of signing in, counted in Redis: the same tests as with PostgreSQL, and what only Redis can do."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from redis.asyncio import Redis

from backend.core.config import Settings
from backend.core.limits import Limit
from backend.integrations.redis import _key, redis_buckets
from tests.commands.running import free_port
from tests.factories.refusals import refused
from tests.factories.world import PASSWORD, World, ok
from tests.security import test_limits as shared
from tests.security.redises import MISSING, PROGRAM, redis_server
from tests.security.test_limits import evaluated, world

Running: TypeAlias = tuple[str, "subprocess.Popen[bytes]"]
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)
__all__ = ["evaluated", "world"]

test_wrong_passwords = shared.test_wrong_passwords_are_looked_at_five_times_and_then_five_a_minute
test_two_hundred_at_once = shared.test_two_hundred_at_once_are_no_more
test_letter_case = shared.test_letter_case_blanks_and_invented_proxies_do_not_help
test_a_refusal_says_when = shared.test_a_refusal_says_when_to_come_back_and_keeps_that_promise
test_who_signs_in_often = shared.test_who_signs_in_often_is_never_limited


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with redis_server(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture
async def redis(running: Running) -> AsyncIterator[Redis]:
    """An empty one, looked into from beside the service."""
    client = Redis.from_url(running[0])
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def settings(settings: Settings, running: Running, redis: Redis) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(running[0])})


async def test_processes_count_together(running: Running, redis: Redis) -> None:
    """Two stores are two processes: a hundred tokens asked for by each at once, five given."""
    limit = Limit(5, 60)
    async with redis_buckets(running[0]) as one, redis_buckets(running[0]) as other:
        takes = [store.take("sign-in account ada@example.com", limit) for store in (one, other) for _ in range(100)]
        taken = [each for each, _ in await asyncio.gather(*takes)]
    assert taken.count(True) == 5


async def test_what_is_kept_is_a_digest_that_forgets_itself(world: World, redis: Redis) -> None:
    await shared.guess(world)
    keys = [str(key, "ascii") if isinstance(key, bytes) else key for key in await redis.keys()]
    assert len(keys) == 2
    for key in keys:
        assert key.startswith("backdrop:limit:")
        assert "example" not in key
        assert 0 < await redis.ttl(key) <= 60


@pytest.mark.parametrize("spelling", ["İVAN@example.com", "ivan@EXAMPLE.com", "ｉvan@example.com", "ívan@example.com"])
def test_a_spelling_of_an_account_has_no_bucket_of_its_own(spelling: str) -> None:
    """PostgreSQL's lower() makes `İ` an `i`: a bucket for each spelling would be more tries for one account."""
    assert _key(spelling) == _key("ivan@example.com")


async def test_without_redis_nobody_signs_in_and_everything_else_goes_on(world: World, app: FastAPI) -> None:
    ada = await world.advertiser()
    assert ada.user
    async with redis_buckets(f"redis://127.0.0.1:{free_port()}/0") as gone:
        app.state.shared_buckets = gone
        answer = await world.nobody.post("/auth/login", {"email": ada.user["email"], "password": PASSWORD})
        refused(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        ok(await ada.get("/auth/me"))
        ok(await ada.get("/slots"))
