"""The long forms of the faults: each starts what it needs, holds the promise's own limits, and says what it saw."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from backend.integrations.postgres import embedded_postgres
from tests.commands.running import data_folder, serving
from tests.faults import commits as all_commits
from tests.faults import invariants, kills, vanishing
from tests.faults import keys as one_key
from tests.faults.arena import SECRET, Arena, small_arena
from tests.faults.servers import TWO_WORKERS, two_servers, two_workers
from tests.faults.wire import Answer, Unanswered


def _kills(rounds: int, *, postgres: bool) -> str:
    with data_folder() as folder, two_workers(folder, LOG_LEVEL="info") as (server, dsn):
        notes = asyncio.run(kills.under_fire(server, folder, dsn, rounds, postgres=postgres))
        assert server.stop() == 0
    words = (
        f"{rounds} kills, {notes.acknowledged} acknowledged writes all there, {notes.unanswered} calls cut off, "
        f"{notes.refused} answered 503 within {notes.slowest_refusal:.2f} s at most, "
        f"served again after {notes.slowest_healing:.2f} s at most"
        + ("" if postgres else f", two processes again after {notes.slowest_replacement:.1f} s at most")
    )
    assert notes.slowest_healing < kills.HEAL_SECONDS, words
    assert notes.slowest_refusal < kills.ANSWER_SECONDS, words
    return words


def api_kills(rounds: int) -> str:
    """R5."""
    return _kills(rounds, postgres=False)


def postgres_kills(rounds: int) -> str:
    """R6."""
    return _kills(rounds, postgres=True)


def vanishing_clients(count: int) -> str:
    """R8."""
    with data_folder() as folder, two_workers(folder) as (server, dsn):
        seconds, oldest = asyncio.run(_vanish(dsn, server.url, count))
        assert server.stop() == 0
    words = (
        f"{count} clients vanished; nothing half made; {seconds:.2f} s after the last of them no connection and no "
        f"transaction was left; the longest transaction had {oldest:.2f} s"
    )
    assert max(oldest, seconds) < vanishing.CALM_SECONDS, words
    return words


async def _vanish(dsn: str, url: str, count: int) -> tuple[float, float]:
    arena = await small_arena(dsn, [url], buyers=16, slots=40)
    async with vanishing.Watch(dsn) as watch:
        await vanishing.vanish(arena, count)
        seconds = await vanishing.calm(arena, 60)
    await vanishing.nothing_half_made(arena)
    return seconds, watch.oldest


def stops(rounds: int) -> str:
    """R12, SIGTERM under load."""
    slowest, changes = 0.0, 0
    with data_folder() as folder, embedded_postgres(folder) as dsn:
        for number in range(rounds):
            home = folder / str(number)
            home.mkdir()
            with serving(home, *TWO_WORKERS, port=None, DATABASE_URL=dsn, JWT_SECRET=SECRET) as server:
                notes = kills.Notes(home / "acknowledged")
                notes.log.touch()
                slowest = max(slowest, asyncio.run(kills.stopped(server, Arena(dsn, [server.url]), notes)))
                changes += notes.acknowledged
    words = f"{rounds} stops, {changes} changes, each of them answered; gone within {slowest:.1f} s at most"
    assert slowest < 15, words
    return words


def slow_clients(count: int) -> str:
    """R12, slow clients and a huge body."""
    with data_folder() as folder, two_workers(folder) as (server, dsn):
        arena = asyncio.run(small_arena(dsn, [server.url], buyers=1, slots=1))
        pids = kills.workers(server)
        before = {pid: vanishing.memory(pid) for pid in pids}
        slowest = asyncio.run(vanishing.slow_clients(arena, count, seconds=25))
        outcomes = []
        for announced in (True, False):
            try:
                outcomes.append(str(asyncio.run(vanishing.huge_body(arena, 1024**3, announced=announced))[0]))
            except Unanswered:
                outcomes.append("cut off")
        growth = max(vanishing.memory(pid) - before[pid] for pid in pids) // 1024
        let_go = asyncio.run(vanishing.never_read(arena, count // 5, seconds=60))
        assert server.stop() == 0
    words = (
        f"{count} slow clients: health within {slowest * 1000:.0f} ms; bodies of 1 GB: {' and '.join(outcomes)}; "
        f"memory +{growth} MB at most; {count // 5} clients that read nothing of a large answer were let go after "
        f"{let_go:.0f} s"
    )
    assert slowest < vanishing.HEALTH_SECONDS, words
    assert growth < 50, words
    return words


def keys(count: int) -> str:
    """R4: so many keys, 100 calls each over two processes, then two others."""

    async def fight(arena: Arena) -> list[tuple[str, Answer, str]]:
        used = []
        for number, slot in enumerate(arena.slots[:-1]):
            first = await one_key.must_have_one_effect(arena, slot, f"key {number}")
            await one_key.must_stand_for_its_own(arena, slot, arena.slots[-1], first, f"key {number}")
            used.append((slot, first, f"key {number}"))
        return used

    async def again(arena: Arena, urls: list[str], used: list[tuple[str, Answer, str]]) -> None:
        for number, (slot, first, key) in enumerate(used):
            await one_key.must_be_known_at(urls[number % 2], arena.buyers[0], slot, first, key)
        await invariants.must_hold(arena.dsn)

    with data_folder() as folder, embedded_postgres(folder, max_connections=200) as dsn:
        with two_servers(folder, dsn) as servers:
            urls = [server.url for server in servers]
            arena = asyncio.run(small_arena(dsn, urls, buyers=2, slots=count + 1))
            used = asyncio.run(fight(arena))
        with two_servers(folder, dsn) as servers:
            asyncio.run(again(arena, [server.url for server in servers], used))
    return (
        f"{count} keys × 100 calls: each one effect and one answer, byte for byte, also after a restart; another body "
        "or route refused; another caller independent"
    )


def commits(count: int) -> str:
    """R7."""
    with data_folder() as folder, embedded_postgres(folder, max_connections=200) as dsn:
        asyncio.run(all_commits.run(folder, dsn, count))
    return (
        f"{count} commits failed and {count // 2} were cut: no 2xx for a row that is not there; {10 * count} reads on "
        "the other process saw the write before them"
    )


def hangs(rounds: int) -> str:
    """A PostgreSQL that hangs."""
    with data_folder() as folder, two_workers(folder) as (server, dsn):
        notes = asyncio.run(kills.while_hanging(server, folder, dsn, rounds))
        assert server.stop() == 0
    words = (
        f"PostgreSQL stood still {rounds} times: {notes.refused} calls answered 503 within {notes.slowest_refusal:.1f} "
        f"s at most; served again {notes.slowest_healing:.2f} s after it went on; {notes.acknowledged} acknowledged "
        "writes all there"
    )
    assert notes.slowest_refusal < kills.HANG_ANSWER_SECONDS, words
    assert notes.slowest_healing < kills.HEAL_SECONDS, words
    return words


def unguarded(_: int) -> str:
    """Guards taken away, one by one: the promise's own test must see it."""
    files = ["tests/races/unguarded.py", "tests/faults/unguarded.py"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--show-capture=no", *files], check=False)
    assert done.returncode == 0, "what went wrong stands above"
    return "each guard of `tests/*/unguarded.py` taken away: every test went red"
