"""R8: clients that go away at any point of a request; and R12: clients that are slow or send too much."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from pathlib import Path
from typing import Self

from tests.faults import invariants
from tests.faults.arena import FOUNTAIN, Arena, connected, made, until, upload
from tests.faults.wire import Unanswered, Wire, request_bytes

CALM_SECONDS = 2.0
HEALTH_SECONDS = 0.2
MOST_GROWTH_KB = 50 * 1024


async def vanish(arena: Arena, count: int, seed: int = 1) -> None:
    """So many clients break off after a random part of a request that would change something, or before its answer."""
    dice = random.Random(seed)
    together = asyncio.Semaphore(50)

    async def one(number: int) -> None:
        buyer, slot = dice.choice(arena.buyers), dice.choice(arena.slots)
        body = b'{"amount": 500, "objective": "Awareness", "message": "' + b"a" * 2000 + b'"}'
        headers = {"content-type": "application/json", "idempotency-key": f"vanished {number}"}
        request = request_bytes("POST", f"/slots/{slot}/bids", body, buyer.token, headers)
        part = request[: dice.choice([len(request), dice.randrange(1, len(request))])]
        async with together:
            wire = Wire(arena.urls[number % len(arena.urls)])
            _, writer = await asyncio.open_connection(wire.host, wire.port)
            writer.write(part)
            await asyncio.sleep(dice.choice([0, 0, 0.005, 0.02]))
            if dice.random() < 0.5:  # a reset instead of a polite end
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()

    await asyncio.gather(*(one(number) for number in range(count)))


class Watch:
    """Looks at the database's transactions while the block lasts: `oldest` is the greatest age seen, in seconds."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.oldest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _look(self) -> None:
        async with connected(self._dsn) as connection:
            while True:
                age = await connection.fetchval(
                    "SELECT max(extract(epoch FROM clock_timestamp() - xact_start))::float FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'backdrop'"
                )
                self.oldest = max(self.oldest, age or 0.0)
                await asyncio.sleep(0.02)


async def calm(arena: Arena, seconds: float) -> float:
    """Wait until no connection of a client is open, and no transaction; answers how long that took.

    Fails when it takes longer than `seconds`.
    """
    left: list[object] = []

    async def quiet() -> bool:
        async with connected(arena.dsn) as connection:
            busy = await connection.fetch(
                "SELECT state, query FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'backdrop' AND state <> 'idle'"
            )
        left[:] = [*map(dict, busy), sum(open_connections(Wire(url).port) for url in arena.urls)]
        return left == [0]

    try:
        return await until(quiet, seconds, "something is left")
    except AssertionError:
        raise AssertionError(f"left after {seconds} s: {left}") from None


def open_connections(port: int) -> int:
    """How many connections a server's side of a port holds."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening, gone = "0A", ("06", "07")
    found = 0
    for line in lines:
        local, state, inode = line.split()[1], line.split()[3], line.split()[9]
        mine = int(local.split(":")[1], 16) == port
        found += mine and state != listening and state not in gone and inode != "0"
    return found


async def nothing_half_made(arena: Arena) -> None:
    """Every bid is whole: with its terms, its comment, its event and its kept key, or not there at all."""
    await invariants.must_hold(arena.dsn)
    async with connected(arena.dsn) as connection:
        broken = await connection.fetchval(
            "SELECT count(*) FROM bids WHERE slot_id = ANY($1::uuid[]) AND"
            " (1 <> (SELECT count(*) FROM terms WHERE bid_id = bids.id)"
            " OR 1 <> (SELECT count(*) FROM comments WHERE bid_id = bids.id))",
            arena.slots,
        )
        assert broken == 0


async def slow_clients(arena: Arena, count: int, seconds: float) -> float:
    """So many clients send a byte now and then; answers the slowest health check meanwhile."""
    stop = asyncio.Event()

    async def dribble(number: int) -> None:
        wire = Wire(arena.urls[0])
        request = request_bytes("POST", "/auth/login", b"{" + b" " * 5000, None, {"content-type": "application/json"})
        start = request.index(b"\r\n\r\n") + 4 if number % 2 else 1
        try:
            _, writer = await asyncio.open_connection(wire.host, wire.port)
            writer.write(request[:start])
            for byte in request[start:]:
                if stop.is_set() or writer.transport.is_closing():
                    break
                writer.write(bytes([byte]))
                await asyncio.sleep(0.5)
            writer.close()
        except OSError:
            return

    clients = [asyncio.create_task(dribble(number)) for number in range(count)]
    await asyncio.sleep(0.5)
    slowest = 0.0
    end = time.monotonic() + seconds
    async with Wire(arena.urls[0], timeout=10) as wire:
        while time.monotonic() < end:
            started = time.monotonic()
            answer = await wire.call("GET", "/healthz")
            slowest = max(slowest, time.monotonic() - started)
            assert answer.status == 200
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*clients)
    return slowest


async def never_read(arena: Arena, count: int, seconds: float) -> float:
    """So many clients ask for a large script and read nothing; answers after how long all of them are let go.

    Fails when one is kept for longer than `seconds`, or a transaction meanwhile.
    """
    creator, loop = arena.creators[0], asyncio.get_running_loop()
    async with arena.wire(creator) as wire:
        project = made(await upload(wire, FOUNTAIN + b"\nThe train goes on.\n" * 200_000))["id"]
    host, port = wire.host, wire.port
    request = request_bytes("GET", f"/projects/{project}/script", b"", creator.token, {})
    clients = []
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, (host, port))
        await loop.sock_sendall(client, request)
        clients.append(client)
    async with Watch(arena.dsn) as watch:
        taken = await calm(arena, seconds)
    assert watch.oldest < CALM_SECONDS, "a transaction waits for a client"
    for client in clients:
        client.close()
    return taken


async def huge_body(arena: Arena, size: int, *, announced: bool) -> tuple[int, int]:
    """Send a body of this size; answers the status, and how many bytes were taken before the end."""
    wire = Wire(arena.urls[0])
    reader, writer = await asyncio.open_connection(wire.host, wire.port)
    length = f"content-length: {size}" if announced else "transfer-encoding: chunked"
    head = f"POST /api/v1/auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
    writer.write(head.encode())
    piece = b" " * 65536
    sent, status = 0, 0
    answer = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))
    try:
        while sent < size and not writer.transport.is_closing():
            writer.write(piece if announced else b"10000\r\n" + piece + b"\r\n")
            sent += len(piece)
            await writer.drain()
            await asyncio.sleep(0)
    except OSError:
        pass
    try:
        status = int((await asyncio.wait_for(answer, 10)).split()[1])
    except (OSError, asyncio.IncompleteReadError) as error:
        raise Unanswered(0) from error
    finally:
        writer.close()
    return status, sent


def memory(pid: int) -> int:
    """The largest memory that a process has had, in kilobytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise AssertionError(pid)
