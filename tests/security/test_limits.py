"""Rate limits (S10): how often a password may be tried, whoever asks and however the address is written."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import asyncpg
import httpx2
import pytest

from backend.core import passwords
from backend.core.config import Settings
from backend.core.database import Database
from backend.jobs.limits import forget_full
from backend.main import create_app
from tests.factories.refusals import refused
from tests.factories.world import PASSWORD, World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
ADDRESS = "advertiser1@example.com"


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that were computed to check a password."""
    seen: list[str] = []
    fits = passwords._fits

    def counted(password: str, digest: str) -> bool:
        seen.append(digest)
        return fits(password, digest)

    monkeypatch.setattr(passwords, "_fits", counted)
    return seen


@pytest.fixture
def world(world: World) -> World:
    """A world whose clock stands still until it is moved: no token comes back meanwhile."""
    world.freeze()
    return world


async def guess(world: World, email: str = ADDRESS, **headers: str) -> httpx2.Response:
    return await world.nobody.post("/auth/login", {"email": email, "password": "wrong"}, headers=headers)


async def test_wrong_passwords_are_looked_at_five_times_and_then_five_a_minute(
    world: World, evaluated: list[str]
) -> None:
    await world.advertiser()
    answers = Counter([(await guess(world)).status_code for _ in range(200)])
    assert answers == {401: 5, 429: 195}
    assert len(evaluated) == 5
    world.advance(seconds=12)
    assert [(await guess(world)).status_code for _ in range(2)] == [401, 429]
    world.advance(hours=1)
    assert [(await guess(world)).status_code for _ in range(6)] == [401] * 5 + [429]


async def test_two_hundred_at_once_are_no_more(world: World, evaluated: list[str]) -> None:
    await world.advertiser()
    answers = Counter(each.status_code for each in await asyncio.gather(*(guess(world) for _ in range(200))))
    assert answers == {401: 5, 429: 195}
    assert len(evaluated) == 5


async def test_letter_case_blanks_and_invented_proxies_do_not_help(world: World, evaluated: list[str]) -> None:
    await world.advertiser()
    forms = [ADDRESS, ADDRESS.upper(), f"  {ADDRESS}", ADDRESS.title(), f"{ADDRESS}\t"]
    for number, email in enumerate(forms * 4):
        await guess(world, email, **{"X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for=192.0.2.{number}"})
    form = {"username": ADDRESS, "password": "wrong"}
    refused(await world.nobody.post("/auth/token", data=form), 429, "too_many_requests")
    assert len(evaluated) == 5


async def test_an_unknown_account_is_limited_like_a_known_one(world: World) -> None:
    await world.advertiser()
    known = [await guess(world) for _ in range(7)]
    unknown = [await guess(world, "nobody@example.com") for _ in range(7)]
    assert [each.status_code for each in known] == [each.status_code for each in unknown]
    one, other = (refused(each[-1], 429) for each in (known, unknown))
    assert {**one, "requestId": ""} == {**other, "requestId": ""}


async def test_a_refusal_says_when_to_come_back_and_keeps_that_promise(world: World) -> None:
    ada = await world.advertiser()
    assert ada.user
    standings = []
    for _ in range(5):
        response = await guess(world)
        standings.append((response.headers["x-ratelimit-limit"], response.headers["x-ratelimit-remaining"]))
    assert standings == [("5", str(left)) for left in (4, 3, 2, 1, 0)]
    response = await world.nobody.post("/auth/login", {"email": ADDRESS, "password": PASSWORD})
    refused(response, 429, "too_many_requests")
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert (response.headers["retry-after"], response.headers["x-ratelimit-reset"]) == ("12", "60")
    world.advance(seconds=11)
    refused(await world.nobody.post("/auth/login", {"email": ADDRESS, "password": PASSWORD}), 429)
    world.advance(seconds=1)
    await world.log_in(ADDRESS)


async def test_who_signs_in_often_is_never_limited(world: World) -> None:
    await world.advertiser()
    for _ in range(120):
        await world.log_in(ADDRESS)
    response = await world.nobody.post("/auth/login", {"email": ADDRESS, "password": PASSWORD})
    ok(response)
    assert "x-ratelimit-limit" in response.headers


async def test_a_client_without_tokens_uses_up_no_other_account(world: World, sql: Sql) -> None:
    await world.advertiser()
    for number in range(100):
        assert (await guess(world, f"nobody{number}@example.com")).status_code == 401
    response = await guess(world)
    refused(response, 429)
    assert response.headers["x-ratelimit-limit"] == "100", "the address's limit"
    buckets = await sql.fetchval("SELECT count(*) FROM rate_limits")
    assert buckets == 102, "a hundred accounts, the address, and the address for signing up; not the last account"


async def test_more_than_a_hundred_may_sign_up_in_a_minute(world: World) -> None:
    for _ in range(110):
        await world.advertiser()


async def test_full_buckets_are_forgotten(world: World, database: Database, sql: Sql) -> None:
    await guess(world)
    assert await forget_full(database) == 0
    world.advance(minutes=2)
    assert await forget_full(database) == 2
    assert await sql.fetchval("SELECT count(*) FROM rate_limits") == 0


async def test_buckets_hold_no_address_and_cost_no_log(sql: Sql, world: World) -> None:
    await guess(world)
    rows = await sql.fetch("SELECT key FROM rate_limits")
    assert all(len(row["key"]) == 32 for row in rows)
    assert await sql.fetchval("SELECT relpersistence FROM pg_class WHERE relname = 'rate_limits'") == b"u"


async def test_processes_count_together(two_servers: list[str]) -> None:
    def attempt(number: int) -> int:
        email = ADDRESS if number % 2 else ADDRESS.upper()
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        body = {"email": email, "password": f"wrong {number}"}
        url = f"{two_servers[number % 2]}/api/v1/auth/login"
        return httpx2.post(url, json=body, headers=headers, timeout=20).status_code

    started = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        answers = Counter(await asyncio.to_thread(lambda: list(threads.map(attempt, range(200)))))
    assert time.monotonic() - started < 60
    assert set(answers) == {401, 429}
    assert 5 <= answers[401] <= 10, answers


@pytest.fixture
async def limited(settings: Settings, database: Database) -> AsyncIterator[World]:
    """A world whose service has a general limit of ten calls a minute."""
    app = create_app(settings.model_copy(update={"rate_limit": "10/minute"}))
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        with World(client, database) as world:
            yield world


async def test_each_user_has_a_bucket_of_their_own_for_all_calls(limited: World) -> None:
    ada, mia = await limited.advertiser(), await limited.merchant()
    first = await ada.get("/auth/me")
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("10", "9")
    for _ in range(9):
        ok(await ada.get("/slots"))
    response = await ada.get("/slots")
    refused(response, 429, "too_many_requests")
    assert int(response.headers["retry-after"]) <= 6
    ok(await mia.get("/slots"))
    limited.advance(seconds=6)
    ok(await ada.get("/slots"))


async def test_probes_are_not_counted(limited: World) -> None:
    for _ in range(12):
        assert (await limited.client.get("/healthz")).status_code == 200


async def test_without_the_setting_there_is_no_general_limit(world: World) -> None:
    ada = await world.advertiser()
    for _ in range(30):
        assert "x-ratelimit-limit" not in (await ada.get("/auth/me")).headers
