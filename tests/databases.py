"""A migrated, empty database for every test: cloned from the template once, and emptied from then on.

Emptying takes a few milliseconds, cloning and dropping a hundred. A test that changed the schema (to show what a guard
is worth) is noticed by its fingerprint, and the next one gets a new clone.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg

TEMPLATE = "backdrop_template"

# Everything that a test may have done to the schema: relations, their constraints, triggers, functions, columns.
_FINGERPRINT = """
    WITH ours AS (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
    SELECT md5(string_agg(line, ',' ORDER BY line)) FROM (
        SELECT concat_ws(' ', 'class', oid, relkind, relhasrules) AS line FROM pg_class
            WHERE oid IN (SELECT * FROM ours)
        UNION ALL SELECT concat_ws(' ', 'constraint', oid, convalidated) FROM pg_constraint
            WHERE conrelid IN (SELECT * FROM ours)
        UNION ALL SELECT concat_ws(' ', 'trigger', oid, tgenabled) FROM pg_trigger WHERE tgrelid IN (SELECT * FROM ours)
        UNION ALL SELECT concat_ws(' ', 'function', oid, md5(prosrc)) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', 'column', attrelid, attnum, attnotnull, attisdropped) FROM pg_attribute
            WHERE attrelid IN (SELECT * FROM ours)
        UNION ALL SELECT concat_ws(' ', 'setting', setdatabase, setrole, setconfig::text) FROM pg_db_role_setting
    ) AS lines
"""
_TABLES = """
    SELECT string_agg(format('DELETE FROM %I;', tablename), ' ') FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version'
"""


def on_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    parts = urlsplit(dsn)
    return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, parts.fragment))


@dataclass(slots=True)
class Clone:
    """A database of this worker, what its schema looked like when it was new, and how to empty it."""

    name: str
    fingerprint: str
    emptying: str


_spare: list[Clone] = []


async def take(server: str, worker: str) -> Clone:
    """An empty database: the one that the last test gave back, or a new clone."""
    if _spare:
        return _spare.pop()
    name = f"backdrop_{worker}_{os.urandom(4).hex()}"
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    finally:
        await admin.close()
    connection = await asyncpg.connect(on_database(server, name))
    try:
        fingerprint = await connection.fetchval(_FINGERPRINT)
        tables = await connection.fetchval(_TABLES)
        # The counters too: tests ask how many deadlocks there were.
        emptying = f"SET session_replication_role = replica; {tables} SELECT pg_stat_reset()"
    finally:
        await connection.close()
    return Clone(name, fingerprint, emptying)


async def give_back(server: str, clone: Clone) -> None:
    """Empty the database for the next test, or drop it when its schema is not what it was."""
    with suppress(asyncpg.PostgresError, OSError, TimeoutError):
        connection = await asyncpg.connect(on_database(server, clone.name))
        try:
            await connection.execute("SET lock_timeout = '2s'")
            if await connection.fetchval(_FINGERPRINT) == clone.fingerprint:
                await connection.execute(clone.emptying)
                _spare.append(clone)
                return
        finally:
            await connection.close()
    admin = await asyncpg.connect(server)
    try:
        await admin.execute(f"DROP DATABASE IF EXISTS {clone.name} WITH (FORCE)")
    finally:
        await admin.close()
