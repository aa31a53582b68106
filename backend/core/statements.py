"""The `Statement` tool: SQLAlchemy Core said once, compiled once, run on the pooled asyncpg connection.

Building and cache-keying a statement costs about 0.4 ms; a prebuilt one costs a dictionary look-up. Bind names start
with `p_` and are the keyword arguments of every run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from asyncpg import Record
from sqlalchemy import BindParameter, Delete, Executable, Table, Update, bindparam
from sqlalchemy.dialects.postgresql import asyncpg as _asyncpg
from sqlalchemy.schema import CreateTable

if TYPE_CHECKING:
    from backend.core.database import Db, Tx


class _Compiler(_asyncpg.PGCompiler_asyncpg):
    """Constants of a statement are written into its text, so that the planner can match them with partial indexes.

    They are closed sets and numbers of our own; whatever a caller sends is a bind named `p_…`.
    """

    def visit_bindparam(self, bindparam: BindParameter[Any], *args: Any, **options: Any) -> str:
        """A bind of ours as `$n`, a constant as itself."""
        if not bindparam.key.startswith("p_"):
            options["literal_binds"] = True
        text: str = super().visit_bindparam(bindparam, *args, **options)  # type: ignore[no-untyped-call]
        return text


class _Dialect(_asyncpg.dialect):
    statement_compiler = _Compiler
    supports_statement_cache = False


_dialect = _Dialect()  # type: ignore[no-untyped-call]


def binds(*names: str) -> dict[str, Any]:
    """Columns as binds of their own names, for `values(**binds("title", "genre"))`."""
    return {name: bindparam(f"p_{name}") for name in names}


def prefixed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column name as keywords for a run."""
    return {f"p_{name}": value for name, value in values.items()}


def ddl(table: Table) -> str:
    """The SQL that makes a table of one transaction's own."""
    return str(CreateTable(table).compile(dialect=_dialect))


_INSERT = re.compile(
    r"(?P<into>INSERT INTO .*?) VALUES \((?P<values>.*)\)(?P<rest>| ON CONFLICT DO NOTHING)", re.DOTALL
)
_PLACE = re.compile(r"\$(\d+)")


@cache
def together(inserts: tuple[str, ...]) -> str:
    """INSERTs as one statement that runs them in this order, with their arguments one after the other.

    Each selects from the count of what the one before wrote, so that its triggers see those rows (decision 121).
    """
    parts: list[str] = []
    taken = 0
    for number, sql in enumerate(inserts):
        found = _INSERT.fullmatch(_PLACE.sub(lambda place, before=taken: f"${int(place[1]) + before}", sql))  # type: ignore[misc]
        assert found is not None, sql
        after = f" FROM (SELECT count(*) FROM part_{number - 1}) AS written" if parts else ""  # noqa: S608 text of ours
        parts.append(f"{found['into']} SELECT {found['values']}{after}{found['rest']}")
        taken += len(set(_PLACE.findall(sql)))
    *first, last = parts
    before = ", ".join(f"part_{number} AS ({part} RETURNING 1)" for number, part in enumerate(first))
    return f"WITH {before} {last}" if before else last


_FEW = 3  # rows that go with what comes next


class Statement:
    """A Core statement as SQL text with the order of its binds.

    Run it with every bind as a keyword; a missing one raises KeyError, so nothing is silently NULL.
    """

    __slots__ = ("_changes", "names", "sql")

    def __init__(self, statement: Executable) -> None:
        compiled = statement.compile(dialect=_dialect)  # type: ignore[attr-defined]
        self.sql = str(compiled)
        self.names: Sequence[str] = tuple(compiled.positiontup or ())
        # The table whose rows it changes or takes away: who keeps a copy of them hears of it (Database.watchers).
        self._changes = str(statement.table) if isinstance(statement, Update | Delete) else None

    def arguments(self, binds: dict[str, Any]) -> list[Any]:
        """The binds in the order of the SQL text."""
        return [binds[name] for name in self.names]

    async def _fetch(self, db: Db, binds: dict[str, Any]) -> list[Record]:
        if self._changes is not None:
            db.changed.add(self._changes)
        return await db.fetch(self.sql, self.arguments(binds))

    async def rows(self, db: Db, **binds: Any) -> list[Record]:
        """Every row."""
        return await self._fetch(db, binds)

    async def one(self, db: Db, **binds: Any) -> Record | None:
        """The first row, or None."""
        rows = await self._fetch(db, binds)
        return rows[0] if rows else None

    async def value(self, db: Db, **binds: Any) -> Any:
        """The first column of the first row, or None."""
        row = await self.one(db, **binds)
        return row[0] if row is not None else None

    def add(self, tx: Tx, **binds: Any) -> None:
        """Write a row that nothing asks for, with what comes next (`Tx.add`). For INSERTs alone."""
        tx.add(self.sql, self.arguments(binds))

    async def add_all(self, tx: Tx, rows: Sequence[dict[str, Any]]) -> None:
        """The same for several rows: a few go with what comes next, more in a round trip of their own."""
        if len(rows) > _FEW:
            await self.many(tx, rows)
            return
        for row in rows:
            self.add(tx, **row)

    async def many(self, db: Db, binds: Sequence[dict[str, Any]]) -> None:
        """The same statement once for each set of binds, in one round trip; answers nothing."""
        if self._changes is not None:
            db.changed.add(self._changes)
        await db.executemany(self.sql, [self.arguments(each) for each in binds])
