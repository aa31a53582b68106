"""The long forms of S7 and S10: run by `python -m tests.faults hashing` and `python -m tests.faults sign-ins`."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2

from backend.integrations.postgres import embedded_postgres
from backend.services import maintenance
from tests.commands.running import data_folder, serving
from tests.faults.arena import SECRET
from tests.security.redises import MISSING, PROGRAM, redis_server

API = "/api/v1"
PASSWORD = "a password of some length"
PROCESSES = 4
# Two readers, a little slower than they could be: what is measured is the wait behind others, not a full server.
READERS, PAUSE = 2, 0.01


def sign_ins(tries: int) -> str:
    """S10: so many wrong sign-ins over four processes within a minute; at most ten are looked at, with either store."""
    found = []
    with data_folder() as folder, embedded_postgres(folder) as dsn:
        maintenance.migrate(dsn)
        found.append(f"PostgreSQL: {_guess(folder / 'by-postgres', dsn, tries)}")
        if PROGRAM is None:
            found.append(MISSING)
        else:
            with redis_server(folder) as (url, _):
                found.append(f"Redis: {_guess(folder / 'by-redis', dsn, tries, REDIS_URL=url)}")
    return "; ".join(found)


def _guess(folder: Path, dsn: str, tries: int, **more: str) -> str:
    folder.mkdir()
    with ExitStack() as stack:
        urls = []
        for number in range(PROCESSES):
            (home := folder / str(number)).mkdir()
            server = serving(home, port=None, DATABASE_URL=dsn, JWT_SECRET=SECRET, **more)
            urls.append(stack.enter_context(server).url)
        email = f"{folder.name}@example.com"
        account = {"email": email, "password": PASSWORD, "name": "Ada", "role": "Advertiser"}
        httpx2.post(f"{urls[0]}{API}/auth/signup", json=account, timeout=20).raise_for_status()

        def guess(number: int) -> int:
            spelling = email.upper() if number % 3 else f" {email.title()}"
            body = {"email": spelling, "password": f"wrong {number}"}
            headers = {"X-Forwarded-For": f"198.51.100.{number % 250}", "Forwarded": f"for=198.51.100.{number % 250}"}
            url = f"{urls[number % PROCESSES]}{API}/auth/login"
            return httpx2.post(url, json=body, headers=headers, timeout=60).status_code

        started = time.monotonic()
        with ThreadPoolExecutor(32) as threads:
            answers = Counter(threads.map(guess, range(tries)))
        took = time.monotonic() - started
    words = f"{tries} tries in {took:.0f} s over {PROCESSES} processes: {dict(answers)}"
    assert set(answers) == {401, 429}, words
    # Ten in the minute that the promise names; a slower machine gets its tokens back meanwhile.
    assert answers[401] <= 5 + 5 * max(1.0, took / 60), words
    return words


def hashing(rounds: int) -> str:
    """S7: the p99 of reads while fifty people sign in at once, against the p99 of the quiet seconds between."""
    with (
        data_folder() as folder,
        embedded_postgres(folder) as dsn,
        serving(folder, port=None, DATABASE_URL=dsn, JWT_SECRET=SECRET) as server,
    ):
        quiet, storm, took = asyncio.run(_storms(server.url, rounds))
        assert server.stop() == 0
    before, during = _p99(quiet), _p99(storm)
    words = (
        f"{rounds} storms of 50 sign-ins, {took:.1f} s each; reads: p50 {_p50(quiet):.1f} ms and p99 {before:.1f} ms "
        f"in quiet ({len(quiet)} reads), p50 {_p50(storm):.1f} ms and p99 {during:.1f} ms in storms ({len(storm)}): "
        f"{during / before:.2f} times"
    )
    assert during <= 2 * before, words
    return words


async def _storms(url: str, rounds: int) -> tuple[list[float], list[float], float]:
    quiet: list[float] = []
    storm: list[float] = []
    took = 0.0
    limits = httpx2.Limits(max_connections=60, keepalive_expiry=1)
    async with httpx2.AsyncClient(base_url=f"{url}{API}", timeout=60, limits=limits) as client:
        people = [f"person{number}@example.com" for number in range(50)]
        for email in people:
            account = {"email": email, "password": PASSWORD, "name": "Ada", "role": "Advertiser"}
            reader = (await client.post("/auth/signup", json=account)).raise_for_status().json()["token"]
        for turn in range(rounds + 1):  # the first one warms up
            calm = await _reads(client, reader, asyncio.sleep(3))
            started = time.monotonic()
            busy = await _reads(client, reader, _sign_in(client, people))
            if turn:
                quiet += calm
                storm += busy
                took += time.monotonic() - started
    return quiet, storm, took / rounds


async def _sign_in(client: httpx2.AsyncClient, people: list[str]) -> None:
    answers = [client.post("/auth/login", json={"email": email, "password": PASSWORD}) for email in people]
    assert {each.status_code for each in await asyncio.gather(*answers)} == {200}


async def _reads(client: httpx2.AsyncClient, token: str, meanwhile: Coroutine[Any, Any, None]) -> list[float]:
    """How long reads take, in milliseconds, while something else happens."""
    done = asyncio.ensure_future(meanwhile)
    times: list[float] = []

    async def read() -> None:
        while not done.done():
            started = time.perf_counter()
            answer = await client.get("/slots", headers={"Authorization": f"Bearer {token}"})
            times.append((time.perf_counter() - started) * 1000)
            assert answer.status_code == 200
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(read() for _ in range(READERS)))
    await done
    return times


def _p50(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]
