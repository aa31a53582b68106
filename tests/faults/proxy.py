"""A small proxy before PostgreSQL that cuts connections during COMMIT: before it arrives, or before its answer does.

It can also fall silent, as a server does that hangs: connections are taken, and nothing is passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import parse_qs, urlsplit, urlunsplit

Cut = Literal["before", "after"]
COMMIT = b"COMMIT"


class Proxy:
    """Bytes go through; `cut` says what becomes of the next COMMIT."""

    def __init__(self, dsn: str) -> None:
        self._upstream = dsn
        self.cut: Cut | None = None
        self.cuts = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.sleep_at_commit = False
        self.awake = asyncio.Event()
        self.awake.set()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._upstream)
        query = parse_qs(parts.query)
        if "host" in query:
            port = query.get("port", ["5432"])[0]
            return await asyncio.open_unix_connection(f"{query['host'][0]}/.s.PGSQL.{port}")
        return await asyncio.open_connection(parts.hostname, parts.port or 5432)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        self.open.add(writer)
        await self.awake.wait()
        try:
            up_reader, up_writer = await self._connect()
        except OSError:
            writer.close()
            return
        answers = asyncio.create_task(_pass_on(up_reader, writer))
        try:
            while data := await reader.read(65536):
                if self.sleep_at_commit and COMMIT in data:
                    self.sleep_at_commit = False
                    self.awake.clear()
                await self.awake.wait()
                if self.cut is not None and COMMIT in data:
                    how, self.cut = self.cut, None
                    self.cuts += 1
                    answers.cancel()
                    await asyncio.wait([answers])
                    if how == "after":
                        up_writer.write(data)
                        await up_reader.read(65536)  # PostgreSQL has committed, and nobody hears of it
                    break
                up_writer.write(data)
                await up_writer.drain()
        except OSError:
            pass
        finally:
            answers.cancel()
            self.open.discard(writer)
            writer.transport.abort()
            up_writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
    except OSError:
        writer.close()


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[tuple[str, Proxy]]:
    """The address of a proxy before this database, and the proxy."""
    proxy = Proxy(dsn)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    parts = urlsplit(dsn)
    user, _, _ = parts.netloc.rpartition("@")
    try:
        yield urlunsplit((parts.scheme, f"{user}@127.0.0.1:{port}", parts.path, "", "")), proxy
    finally:
        server.close()
        for writer in proxy.open:
            writer.transport.abort()
        await asyncio.sleep(0.05)  # each ends by itself now
