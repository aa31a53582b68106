"""R5 and R6: `kill -9` of an API process, or of PostgreSQL, under 16 writers who note what they were promised.

A writer changes the terms of its own bid, version after version. What was answered 200 is written to a log that is
fsynced before the next call, so that the log may be believed whatever is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from backend.models.users import Role
from tests.commands.running import Server
from tests.faults import invariants
from tests.faults.arena import Arena, Member, connected, made, until
from tests.faults.wire import Unanswered, Wire

WRITERS = 16
PAUSE_SECONDS = 0.02  # between a writer's calls: without it they take the processors from whoever starts anew
HEAL_SECONDS = 5.0
ANSWER_SECONDS = 2.0
HANG_ANSWER_SECONDS = (
    8.0  # its turn (DB_WAIT_SECONDS), then an answer that does not come (DB_STATEMENT_SECONDS and one)
)


@dataclass(slots=True)
class Notes:
    """What the writers and the prober have seen."""

    log: Path
    acknowledged: int = 0
    unanswered: int = 0
    refused: int = 0
    slowest_refusal: float = 0.0
    slowest_healing: float = 0.0
    slowest_replacement: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def acknowledge(self, bid: str, version: int, amount: int) -> None:
        with open(self.log, "a") as file:
            file.write(f"{bid} {version} {amount}\n")
            file.flush()
            os.fsync(file.fileno())
        self.acknowledged += 1


async def bids(arena: Arena) -> list[tuple[Member, str]]:
    """A bid for each writer, on a slot of its own."""
    arena.creators = await arena.add_members(Role.CREATOR, 1)
    arena.buyers = await arena.add_members(Role.ADVERTISER, WRITERS)
    slots = await arena.add_slots(arena.creators[0], await arena.add_project(arena.creators[0]), WRITERS)
    found = []
    for buyer, slot in zip(arena.buyers, slots, strict=True):
        async with arena.wire(buyer) as wire:
            body = {"amount": 500, "objective": "Awareness"}
            found.append((buyer, str(made(await wire.call("POST", f"/slots/{slot}/bids", body))["id"])))
    return found


async def write(arena: Arena, member: Member, bid: str, notes: Notes, stop: asyncio.Event) -> None:
    """Change the terms again and again, whatever happens to the service."""
    version = 0
    async with arena.wire(member, timeout=10) as wire:
        while not stop.is_set():
            started = time.monotonic()
            try:
                answer = await wire.call("GET", f"/bids/{bid}") if version == 0 else None
                if answer is None or answer.status == 200:
                    version = answer.json()["termsVersion"] if answer is not None else version
                    amount = 500 + version
                    answer = await wire.call("POST", f"/bids/{bid}/terms", {"baseVersion": version, "amount": amount})
            except Unanswered:
                notes.unanswered += 1
                version = 0  # nobody knows what became of it: look again
                await asyncio.sleep(0.02)
                continue
            except TimeoutError:
                notes.wrong.append(f"no answer for {time.monotonic() - started:.1f} s")
                return
            if answer.status == 200:
                version += 1
                notes.acknowledge(bid, version, amount)
                await asyncio.sleep(PAUSE_SECONDS)
            elif answer.status == 503 and "retry-after" in answer.headers:
                notes.refused += 1
                notes.slowest_refusal = max(notes.slowest_refusal, time.monotonic() - started)
                version = 0
                await asyncio.sleep(0.02)
            else:
                notes.wrong.append(f"{answer.status} {answer.body!r}")
                version = 0


async def verify(arena: Arena, notes: Notes, *, exact: bool = False) -> None:
    """Everything acknowledged is there as it was answered; nothing is half made.

    `exact`: nothing is there either that was not acknowledged.
    """
    assert notes.wrong == [], notes.wrong[:3]
    promised = {tuple(line.split()) for line in notes.log.read_text().splitlines()}
    async with connected(arena.dsn) as connection:
        rows = await connection.fetch(
            "SELECT bid_id::text, version::text, amount::int::text FROM terms JOIN bids ON bids.id = bid_id"
            " WHERE creator_id = $1",
            arena.creators[0].id,
        )
        missing = promised - {tuple(row) for row in rows}
        assert not missing, f"{len(missing)} acknowledged changes are not there, for example {missing.pop()}"
        if exact:
            made = {tuple(row) for row in rows if row["version"] != "1"}
            assert made == promised, f"{len(made - promised)} changes were made and not answered"
        assert await invariants.violations(connection) == {}


def workers(server: Server) -> list[int]:
    """The processes of a server that answer requests."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == server.process.pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return found


def starts(server: Server) -> int:
    """How many processes of a server have come as far as serving; it must log at the level info."""
    return server.log.read_text().count("Application startup complete")


async def kill_a_worker(server: Server, arena: Arena, number: int, notes: Notes) -> float:
    """Kill one of the two; answers after how long a new client is served. Returns when there are two again."""
    victim, before = sorted(workers(server))[number % 2], starts(server)
    started = time.monotonic()
    os.kill(victim, signal.SIGKILL)

    healing = await until(lambda: served(arena), 60, "nobody is served")

    async def back() -> bool:
        return starts(server) > before

    await until(back, 60, "the killed process is not replaced")
    notes.slowest_replacement = max(notes.slowest_replacement, time.monotonic() - started)
    return healing


async def kill_while_asked(server: Server) -> float:
    """Kill a process while its parent waits for its word that it lives; answers after how long it is replaced."""
    victim, before = workers(server)[0], starts(server)
    os.kill(victim, signal.SIGSTOP)
    await asyncio.sleep(1.0)  # the parent asks twice a second
    os.kill(victim, signal.SIGKILL)

    async def back() -> bool:
        return starts(server) > before

    return await until(back, 60, "the killed process is not replaced")


def postmaster(folder: Path) -> int:
    """The process of the embedded PostgreSQL of a data folder."""
    return int((folder / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


async def kill_postgres(folder: Path, arena: Arena) -> float:
    """Kill the server; answers how long after its return the service was well again."""
    os.kill(postmaster(folder), signal.SIGKILL)

    async def returned() -> bool:
        try:
            async with connected(arena.dsn):
                return True
        except (OSError, asyncpg.PostgresError):
            return False

    await asyncio.sleep(0.2)
    await until(returned, 60, "PostgreSQL is not started again")
    return await until(lambda: served(arena), 60, "the service does not heal")


def processes_of_postgres(folder: Path) -> list[int]:
    """The server's main process and all that it has started."""
    main = postmaster(folder)
    found = [main]
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == main:
            found.append(int(entry.parent.name))
    return found


async def while_hanging(server: Server, folder: Path, dsn: str, rounds: int) -> Notes:
    """PostgreSQL stands still under 16 writers, so many times for six seconds each, and goes on."""
    arena = Arena(dsn, [server.url])
    notes = Notes(folder / "acknowledged")
    notes.log.touch()
    writers, stop = await bids(arena), asyncio.Event()
    tasks = [asyncio.create_task(write(arena, member, bid, notes, stop)) for member, bid in writers]
    for _ in range(rounds):
        before, refused = notes.acknowledged, notes.refused
        await until(lambda before=before: _more(notes, before), 30, "nothing is written")
        stopped = processes_of_postgres(folder)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(6)
            async with Wire(server.url, timeout=5) as wire:
                health = await wire.call("GET", "/healthz")
            assert (health.status, "retry-after" in health.headers) == (503, True), health.status
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        notes.slowest_healing = max(notes.slowest_healing, await until(lambda: served(arena), 60, "it does not heal"))
        assert notes.refused > refused, "nobody noticed"
    stop.set()
    await asyncio.gather(*tasks)
    await verify(arena, notes)
    return notes


async def served(arena: Arena) -> bool:
    """Whether a new client gets a row from the database."""
    try:
        async with Wire(arena.urls[0], arena.buyers[0].token, timeout=10) as wire:
            return (await wire.call("GET", "/auth/me")).status == 200
    except (Unanswered, TimeoutError):
        return False


async def under_fire(
    server: Server, folder: Path, dsn: str, rounds: int, *, postgres: bool, settings: Sequence[str] = ()
) -> Notes:
    """So many kills under 16 writers; answers what was seen, after all of it was verified.

    `settings` are statements for the server, run when everything stands and nothing is killed yet.
    """
    arena = Arena(dsn, [server.url])
    notes = Notes(folder / f"acknowledged-{time.monotonic_ns()}")
    notes.log.touch()
    writers, stop = await bids(arena), asyncio.Event()
    async with connected(dsn) as connection:
        for statement in settings:
            await connection.execute(statement)
    tasks = [asyncio.create_task(write(arena, member, bid, notes, stop)) for member, bid in writers]
    for number in range(rounds):
        before = notes.acknowledged
        await until(lambda before=before: _more(notes, before), 30, "nothing is written")
        kill = kill_postgres(folder, arena) if postgres else kill_a_worker(server, arena, number, notes)
        notes.slowest_healing = max(notes.slowest_healing, await kill)
    stop.set()
    await asyncio.gather(*tasks)
    await verify(arena, notes)
    return notes


async def _more(notes: Notes, before: int) -> bool:
    return notes.acknowledged >= before + 3 * WRITERS


async def stopped(server: Server, arena: Arena, notes: Notes, *, how: int = signal.SIGTERM) -> float:
    """SIGTERM under load; answers how long the server took. Every change that was made must have been answered.

    `how` is another signal, for the server and its processes.

    The database must outlive the server for the looking: call it with one that does.
    """
    writers, stop = await bids(arena), asyncio.Event()
    tasks = [asyncio.create_task(write(arena, member, bid, notes, stop)) for member, bid in writers]
    await until(lambda: _more(notes, 0), 30, "nothing is written")
    started = time.monotonic()
    if how != signal.SIGTERM:
        for pid in workers(server):
            os.kill(pid, how)
    code = await asyncio.to_thread(server.stop, how)
    seconds = time.monotonic() - started
    stop.set()
    await asyncio.gather(*tasks)
    assert code == (0 if how == signal.SIGTERM else -how), f"it ended with {code}"
    await verify(arena, notes, exact=True)
    return seconds
