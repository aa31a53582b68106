"""Dumps: every row of every table, to show that something was written or was not."""

from __future__ import annotations

import asyncpg

Dump = dict[str, list[str]]

# What is allowed to differ: keys that were claimed, and when a session was last seen.
LEFT_OUT = {"alembic_version", "idempotency_keys"}


async def dump(sql: asyncpg.Connection[asyncpg.Record], *without: str) -> Dump:
    """Every row as text, by table; `without` names more tables to leave out."""
    tables = await sql.fetch(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    names = sorted({row["table_name"] for row in tables} - LEFT_OUT - set(without))
    # xmin too: a row that is written again with the same values is a write.
    selects = [f"SELECT '{name}' AS name, xmin::text || ' ' || {name}::text AS line FROM {name}" for name in names]
    found: Dump = {name: [] for name in names}
    for row in await sql.fetch(" UNION ALL ".join(selects) + " ORDER BY 1, 2"):
        found[row["name"]].append(row["line"])
    return found
