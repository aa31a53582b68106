"""The long forms of S7, S9, S10 and S13: `python -m tests.faults hashing`, `timing`, `sign-ins` and `catalogue`."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import httpx2

from backend.integrations.postgres import embedded_postgres
from backend.services import maintenance
from tests.commands.running import data_folder, serving
from tests.faults.arena import SECRET
from tests.faults.vanishing import memory as server_memory
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
    loop = asyncio.get_running_loop()
    # Who signs in does so in a process of its own that gives way: making fifty requests at once would hold up the clock
    # of the reads, and clients have machines of their own.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=os.nice, initargs=(10,)) as others:
        async with httpx2.AsyncClient(base_url=f"{url}{API}", timeout=60) as client:
            people = [f"person{number}@example.com" for number in range(50)]
            for email in people:
                account = {"email": email, "password": PASSWORD, "name": "Ada", "role": "Advertiser"}
                reader = (await client.post("/auth/signup", json=account)).raise_for_status().json()["token"]
            for turn in range(rounds + 1):  # the first one warms up
                calm = await _reads(client, reader, asyncio.sleep(3))
                started = time.monotonic()
                busy = await _reads(client, reader, loop.run_in_executor(others, _sign_in, url, people))
                if turn:
                    quiet += calm
                    storm += busy
                    took += time.monotonic() - started
    return quiet, storm, took / rounds


def _sign_in(url: str, people: list[str]) -> None:
    """All of them at once."""

    async def storm() -> None:
        limits = httpx2.Limits(max_connections=60)
        async with httpx2.AsyncClient(base_url=f"{url}{API}", timeout=60, limits=limits) as client:
            answers = [client.post("/auth/login", json={"email": email, "password": PASSWORD}) for email in people]
            assert {each.status_code for each in await asyncio.gather(*answers)} == {200}

    asyncio.run(storm())


async def _reads(client: httpx2.AsyncClient, token: str, meanwhile: Awaitable[None]) -> list[float]:
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


def timing(rounds: int) -> str:
    """S9: signing in with a wrong password takes as long for unknown addresses as for known ones, turn about."""
    with (
        data_folder() as folder,
        embedded_postgres(folder) as dsn,
        serving(folder, port=None, DATABASE_URL=dsn, JWT_SECRET=SECRET, TRUSTED_PROXIES="127.0.0.1") as server,
    ):
        known, unknown = _turn_about(server.url, rounds)
        assert server.stop() == 0
    # How often a try at an unknown address was the slower one of its pair: half the time when nothing tells them apart.
    slower = sum(there < nowhere for there, nowhere in zip(known, unknown, strict=True)) / rounds
    words = (
        f"{rounds} pairs: known addresses {_p50(known):.1f} ms, unknown ones {_p50(unknown):.1f} ms (medians); the "
        f"unknown one was slower in {slower:.0%} of the pairs"
    )
    # Three standard deviations of a fair coin.
    assert abs(slower - 0.5) < 3 * 0.5 / rounds**0.5, words
    return words


def _turn_about(url: str, rounds: int) -> tuple[list[float], list[float]]:
    known: list[float] = []
    unknown: list[float] = []
    with httpx2.Client(base_url=f"{url}{API}", timeout=60) as client:
        for number in range(rounds):
            headers = {"X-Forwarded-For": f"10.{number // 250}.{number % 250}.1"}
            account = {"email": f"known{number}@example.com", "password": PASSWORD, "name": "Ada", "role": "Advertiser"}
            client.post("/auth/signup", json=account, headers=headers).raise_for_status()
            turns = [("known", known), ("other", unknown)]
            for name, times in turns if number % 2 else reversed(turns):
                body = {"email": f"{name}{number}@example.com", "password": "wrong"}
                started = time.perf_counter()
                assert client.post("/auth/login", json=body, headers=headers).status_code == 401
                times.append((time.perf_counter() - started) * 1000)
    return known, unknown


def catalogue(rows: int) -> str:
    """S13: so many rows in one file, all or nothing; the last one is bad at first."""
    with (
        data_folder() as folder,
        embedded_postgres(folder) as dsn,
        serving(folder, port=None, DATABASE_URL=dsn, JWT_SECRET=SECRET, MAX_UPLOAD_MB="200") as server,
        httpx2.Client(base_url=f"{server.url}{API}", timeout=3600) as client,
    ):
        account = {"email": "mo@example.com", "password": PASSWORD, "name": "Mo", "role": "Merchant"}
        token = client.post("/auth/signup", json=account).raise_for_status().json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        file = folder / "catalogue.csv"
        with file.open("w") as lines:
            lines.write("title,price,margin,externalId\n")
            lines.writelines(f"Thing {number},{number % 900}.50,40,X-{number}\n" for number in range(rows))
        memory = server_memory(server.process.pid)
        with file.open("ab") as lines:
            lines.write(b"Bad,not a price,40,X\n")
        refused = client.post("/skus/bulk", files={"file": file.open("rb")})
        assert refused.status_code == 422, refused.text[:500]
        assert [each["row"] for each in refused.json()["errors"]] == [rows + 2], refused.text[:500]
        assert client.get("/skus").json() == [], "a refused file left something"
        with file.open("rb+") as lines:
            lines.truncate(file.stat().st_size - len(b"Bad,not a price,40,X\n"))
        started = time.monotonic()
        taken = client.post("/skus/bulk", files={"file": file.open("rb")})
        took = time.monotonic() - started
        assert taken.status_code == 201, taken.text[:500]
        assert taken.json() == {"count": rows, "created": rows, "updated": 0}
        growth = (server_memory(server.process.pid) - memory) // 1024
        assert server.stop() == 0
    return f"{rows} rows: refused whole for the last one, then taken in {took:.1f} s; memory of the server +{growth} MB"
