"""The PostgreSQL of the measurements: embedded and durable, with a seeded template for each size."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from alembic.config import Config
from alembic.script import ScriptDirectory

from backend.core.passwords import hash_password
from backend.integrations.postgres import embedded_postgres
from backend.services import maintenance
from benchmarks import seed


def on(dsn: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(dsn)
    return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement, timeout=3600)
    finally:
        await connection.close()


async def _has(dsn: str, name: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        return bool(await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name))
    finally:
        await connection.close()


def _template(size: seed.Size) -> str:
    """The name of the template: another migration or another seed makes another."""
    head = ScriptDirectory.from_config(Config(maintenance.ROOT / "alembic.ini")).get_current_head()
    digest = hashlib.sha256(f"{head} {seed.SEED.read_text()}".encode()).hexdigest()[:8]
    return f"seed_{size.slots}_{digest}"


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The server, for as long as the block lasts. It keeps a quarter of the machine's memory, as PostgreSQL advises."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1024**2
    with embedded_postgres(folder, attach=False, shared_buffers=f"{memory // 4}MB") as dsn:
        yield dsn


def seeded(dsn: str, size: seed.Size) -> str:
    """A fresh database with the stated data, cloned from a template that is made on first use. Answers its DSN."""
    template, name = _template(size), f"bench_{size.slots}"
    if not asyncio.run(_has(dsn, template)):
        making = f"{template}_making"
        asyncio.run(_execute(dsn, f"DROP DATABASE IF EXISTS {making} WITH (FORCE)", f"CREATE DATABASE {making}"))
        maintenance.migrate(on(dsn, making))
        asyncio.run(_fill(on(dsn, making), size))
        asyncio.run(_execute(dsn, f"ALTER DATABASE {making} RENAME TO {template}"))
    asyncio.run(
        _execute(
            dsn,
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy",
            "CHECKPOINT",
        )
    )
    return on(dsn, name)


async def _fill(dsn: str, size: seed.Size) -> None:
    await seed.fill(dsn, size, await hash_password(seed.PASSWORD))
