"""Servers as processes: two workers on an embedded database, or two servers of one port each on one database."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from backend.integrations.postgres import embedded_postgres
from backend.integrations.postgres.runtime import announced_dsn
from tests.commands.running import Server, data_folder, serving
from tests.faults.arena import SECRET

TWO_WORKERS = (sys.executable, "-m", "backend", "serve", "--workers", "2")


@contextmanager
def two_workers(folder: Path, **more: str) -> Iterator[tuple[Server, str]]:
    """A server with two processes and an embedded, durable database; and the database's address."""
    with serving(folder, *TWO_WORKERS, port=None, JWT_SECRET=SECRET, **more) as server:
        dsn = announced_dsn(folder.resolve())
        assert dsn is not None
        yield server, dsn


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers and their database."""

    dsn: str
    servers: Sequence[Server]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]


@contextmanager
def two_servers(folder: Path, dsn: str, count: int = 2, **more: str) -> Iterator[list[Server]]:
    """Two servers on one database, each with a port of its own, so that a call can choose its process."""
    with ExitStack() as stack:
        servers = []
        for name in ("one", "two")[:count]:
            home = folder / name
            home.mkdir(exist_ok=True)
            settings = {"DATABASE_URL": dsn, "JWT_SECRET": SECRET, "UPLOAD_DIR": str(folder / "uploads"), **more}
            servers.append(stack.enter_context(serving(home, port=None, **settings)))
        yield servers


@contextmanager
def two_processes(**more: str) -> Iterator[Pair]:
    """Two servers on a durable database of their own, for a long form."""
    with (
        data_folder() as folder,
        embedded_postgres(folder, max_connections=200) as dsn,
        two_servers(folder, dsn, count=2, **more) as servers,
    ):
        yield Pair(dsn, servers)
        for server in servers:
            assert server.stop() == 0
