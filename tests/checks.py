"""Checks that are no tests: the migrations and the written-down contract agree with the code.

`python -m tests.checks` prints one line a check and fails when one does; `--write-openapi` renews docs/openapi.json.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from backend.core.config import Settings
from backend.integrations.postgres import embedded_postgres
from backend.main import create_app

ROOT = Path(__file__).resolve().parents[1]
OPENAPI = ROOT / "docs" / "openapi.json"

# Everything a migration makes, as text: columns, constraints, indexes, triggers, functions, types, sequences.
CATALOG = """
    SELECT 'column', c.relname, format('%s %s null=%s default=%s generated=%s collation=%s', a.attname,
        format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated,
        a.attcollation::regcollation)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION ALL
    SELECT 'index', tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function', proname, pg_get_functiondef(oid) FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
    UNION ALL
    SELECT 'type', typname, typtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'relation', relname, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3
"""


def openapi_text() -> str:
    """The contract as docs/openapi.json holds it; it does not depend on an installation's settings."""
    document = create_app(Settings(_env_file=None)).openapi()
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def alembic_config(dsn: str | None = None) -> Config:
    """Alembic on this database."""
    config = Config(ROOT / "alembic.ini", stdout=io.StringIO())
    config.attributes["dsn"] = dsn
    return config


async def _catalog(dsn: str) -> list[str]:
    connection = await asyncpg.connect(dsn)
    try:
        return [" | ".join(row) for row in await connection.fetch(CATALOG)]
    finally:
        await connection.close()


def schema_of(dsn: str) -> list[str]:
    """The schema of a database, one line an object."""
    return asyncio.run(_catalog(dsn))


def check_openapi() -> str | None:
    """docs/openapi.json is what the code says."""
    if OPENAPI.is_file() and OPENAPI.read_text() == openapi_text():
        return None
    return "docs/openapi.json is out of date; run scripts/openapi and commit it."


def check_one_head() -> str | None:
    """The history of migrations has one head."""
    heads = ScriptDirectory.from_config(alembic_config()).get_heads()
    return None if len(heads) == 1 else f"there are {len(heads)} heads: {', '.join(heads)}; point one at the other."


def check_models(dsn: str) -> str | None:
    """`alembic check` is empty: the migrated tables are those of the models."""
    try:
        command.check(alembic_config(dsn))
    except CommandError as error:
        return f"{error} Write the migration, or correct the model."
    return None


def check_way_back(dsn: str) -> str | None:
    """Up, down and up again gives the same schema, and down leaves nothing behind."""
    first = schema_of(dsn)
    command.downgrade(alembic_config(dsn), "base")
    left = [line for line in schema_of(dsn) if "alembic_version" not in line]
    if left:
        return f"downgrade to base leaves {len(left)} objects behind, first: {left[0]}"
    command.upgrade(alembic_config(dsn), "head")
    changes = [line for line in difflib.unified_diff(first, schema_of(dsn), lineterm="", n=0) if line[0] in "+-"]
    return f"up, down, up changes the schema: {'; '.join(changes[2:6])}" if changes else None


@contextlib.contextmanager
def migrated() -> Iterator[str]:
    """An embedded PostgreSQL of this run's own, at the newest migration."""
    with tempfile.TemporaryDirectory(prefix="backdrop-checks-") as folder:
        Path(folder).chmod(0o755)
        with embedded_postgres(Path(folder), durable=False) as dsn:
            command.upgrade(alembic_config(dsn), "head")
            yield dsn


def report(name: str, check: Callable[[], str | None]) -> bool:
    """Run one check and print its line; answers whether it holds."""
    wrong = check()
    print(f"ok     {name}" if wrong is None else f"WRONG  {name}: {wrong}", flush=True)
    return wrong is None


def main() -> int:
    """Run every check."""
    if sys.argv[1:] == ["--write-openapi"]:
        OPENAPI.write_text(openapi_text())
        return 0
    warnings.simplefilter("error")
    results = [report("docs/openapi.json", check_openapi), report("one head", check_one_head)]
    if results[-1]:
        with migrated() as dsn:
            results.append(report("alembic check", lambda: check_models(dsn)))
            results.append(report("up, down, up", lambda: check_way_back(dsn)))
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
