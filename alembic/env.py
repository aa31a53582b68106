"""How Alembic reaches the database: one connection, one migrator at a time, no lock waited for longer than a moment.

The address is `DATABASE_URL`, or the embedded PostgreSQL of `DATA_DIR` (the running server's, else one started for the
command). The program hands its own address over as `config.attributes["dsn"]`.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from backend.core.config import settings
from backend.core.database import normal_dsn
from backend.integrations.database import database_dsn
from backend.models import Base
from backend.models.events import Xid8

# SQLAlchemy does not know PostgreSQL's transaction ids when it reads the tables that are there.
ischema_names["xid8"] = Xid8

LOCK_TIMEOUT = "SET lock_timeout = '500ms'"
MIGRATOR_LOCK = 0x4261636B44726F70  # "BackDrop"


def _ignore_generated(_: Any, name: str | None, kind: str, *__: Any) -> bool:
    """Alembic's own table is not ours to compare."""
    return not (kind == "table" and name == "alembic_version")


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=False,
        include_object=_ignore_generated,
        transaction_per_migration=True,
    )
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATOR_LOCK})
    # A migration that cannot have its lock gives way to the traffic and fails; it is simply run again. While it waits,
    # the traffic waits behind it, and it may want several locks: together they stay below two seconds.
    connection.execute(text(LOCK_TIMEOUT))
    connection.execute(text("SET statement_timeout = '15min'"))
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()


async def _run(dsn: str) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(normal_dsn(dsn)), poolclass=NullPool
    )
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
        await connection.commit()
    await engine.dispose()


def run() -> None:
    """Run what the command asks for."""
    if context.is_offline_mode():
        context.configure(dialect_name="postgresql", target_metadata=Base.metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    given: str | None = context.config.attributes.get("dsn")
    if given is not None:
        asyncio.run(_run(given))
    else:
        with database_dsn(settings()) as dsn:
            asyncio.run(_run(dsn))


run()
