"""The pool, the fair gate before it, and the two ways to open a connection: to read and to change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg import Record

from backend.core.config import Settings
from backend.core.errors import Unavailable
from backend.core.statements import together

T = TypeVar("T")
_Pooled: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

# What says "the database is not there right now", as against "the statement is wrong".
_GONE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that PostgreSQL has just ended, seen before its end
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.DiskFullError,
)
# A statement that takes too long is ended by PostgreSQL itself; one that is silent for so much longer hangs.
HANG_SECONDS = 1.0
_RETRIED = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


def normal_dsn(url: str) -> str:
    """A database URL as hosts print it, in the form asyncpg takes.

    `postgres://`, `postgresql://` and `postgresql+asyncpg://` are the same; `sslmode` stays; `channel_binding` and
    libpq's other options that asyncpg does not know are left out. Raises ValueError without the URL in it.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
        raise ValueError("DATABASE_URL must start with postgresql:// or postgres://")
    unknown_to_asyncpg = {"channel_binding", "options", "keepalives", "keepalives_idle", "connect_timeout"}
    query = urlencode([pair for pair in parse_qsl(parts.query) if pair[0] not in unknown_to_asyncpg])
    return urlunsplit(("postgresql", parts.netloc, parts.path, query, ""))


def broken_constraint(error: asyncpg.PostgresError) -> str | None:
    """The name of the constraint that a statement broke."""
    name = getattr(error, "constraint_name", None)
    return name if isinstance(name, str) else None


class Db:
    """An open connection as a door hands it out; it counts its statements, which tests hold against a budget."""

    __slots__ = ("_connection", "_patience", "_waiting", "changed", "settings", "statements")

    def __init__(self, connection: _Pooled, settings: Settings, patience: float | None = None) -> None:
        self._connection = connection
        self._patience = patience  # seconds for an answer; as the pool says while None
        self.settings = settings
        self.statements = 0
        self.changed: set[str] = set()  # the tables with rows that were changed or taken away
        self._waiting: list[tuple[str, Sequence[Any]]] = []

    async def fetch(self, sql: str, arguments: Sequence[Any] = ()) -> list[Record]:
        """Run SQL that a `Statement` compiled."""
        if self._waiting:
            await self.send_waiting()
        self.statements += 1
        return await self._answer(self._connection.fetch(sql, *arguments, timeout=self._patience))

    async def executemany(self, sql: str, arguments: Iterable[Sequence[Any]]) -> None:
        """Run SQL that a `Statement` compiled for each set of arguments."""
        await self.send_waiting()
        self.statements += 1
        await self._answer(self._connection.executemany(sql, arguments, timeout=self._patience))

    async def copy(self, table: str, columns: Sequence[str], content: BinaryIO) -> None:
        """COPY a file in PostgreSQL's text format, where empty is NULL, into a table: the bulk way in."""
        await self.send_waiting()
        self.statements += 1
        await self._answer(
            self._connection.copy_to_table(
                table, columns=list(columns), source=content, format="text", null="", timeout=self._patience
            )
        )

    @asynccontextmanager
    async def patiently(self, seconds: int) -> AsyncIterator[None]:
        """Inside, a statement may take this long: for what is asked of many rows at once, and rarely."""
        await self.send_waiting()
        async with self._connection.transaction():
            await self._answer(self._connection.execute(f"SET LOCAL statement_timeout = '{seconds}s'"))
            self._patience = seconds + HANG_SECONDS
            yield
        self._patience = None

    async def send_waiting(self) -> None:
        """Send what `Tx.add` was given; with nothing waiting, nothing."""
        if self._waiting:
            inserts, self._waiting = self._waiting, []
            sql = together(tuple(sql for sql, _ in inserts))
            await self.fetch(sql, [value for _, arguments in inserts for value in arguments])

    async def _answer(self, answer: Awaitable[T]) -> T:
        """What PostgreSQL answers. When it hangs, the connection is given up at once: a ROLLBACK would hang as well."""
        try:
            return await answer
        except TimeoutError:
            give_up(self._connection)
            raise


def give_up(connection: asyncpg.pool.PoolConnectionProxy[Record]) -> None:
    """End a connection without a word to the server; harmless when it has ended already."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


class Tx(Db):
    """A connection inside the changing door's transaction. Services that write ask for this type."""

    __slots__ = ()

    def add(self, sql: str, arguments: Sequence[Any]) -> None:
        """An INSERT that answers nothing, sent with those beside it, in order, in one round trip, before what follows.

        What it breaks is raised by what sends it, at the latest before COMMIT (decision 121).
        """
        self._waiting.append((sql, arguments))


class Connection(asyncpg.Connection):
    """asyncpg's connection without the clean-up round trip at release: no code here leaves session state behind."""

    def get_reset_query(self) -> str:
        """Nothing to reset."""
        return ""


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


async def _prepare(connection: asyncpg.Connection[Record]) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


class _Borrowed:
    """A connection for the length of a block. Not a generator: every request opens one, and this costs a third.

    Raises Unavailable for what says that the database is not there, or that a lock was not to be had.
    """

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> _Pooled:
        self._connection = await self._database._take()
        return self._connection

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            give_up(self._connection)
        await self._database._give_back(self._connection)
        if isinstance(error, asyncpg.LockNotAvailableError | asyncpg.QueryCanceledError):
            raise Unavailable("The service is busy; try again shortly.", code="busy") from error
        # An argument of the wrong kind is a mistake of ours, though asyncpg calls it an InterfaceError.
        if isinstance(error, _GONE) and not isinstance(error, asyncpg.DataError):
            raise Unavailable(code="database_unavailable") from error


class _Reading:
    """A connection to read with, for the length of a block."""

    __slots__ = ("_borrowed", "_patience", "_settings")

    def __init__(self, database: Database, patience: float | None) -> None:
        self._borrowed = _Borrowed(database)
        self._patience = patience
        self._settings = database.settings

    async def __aenter__(self) -> Db:
        return Db(await self._borrowed.__aenter__(), self._settings, self._patience)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self._borrowed.__aexit__(kind, error, trace)


class Database:
    """The pool of connections with a fair gate before it: first come, first served, and no one waits for ever."""

    def __init__(self, pool: asyncpg.Pool[Record], settings: Settings) -> None:
        self._pool = pool
        self._gate = asyncio.Semaphore(settings.db_pool_size)
        self.settings = settings
        self.watchers: list[Callable[[set[str]], None]] = []

    @classmethod
    @asynccontextmanager
    async def opened(cls, dsn: str, settings: Settings) -> AsyncIterator[Database]:
        """A database for the life of the process; the pool is closed when the block ends.

        The pool starts empty, so that a service can start before its database.
        """
        longest = max(settings.db_statement_seconds, settings.db_wait_seconds)
        async with asyncpg.create_pool(
            normal_dsn(dsn),
            min_size=0,
            max_size=settings.db_pool_size,
            max_inactive_connection_lifetime=300,
            statement_cache_size=512,
            connection_class=Connection,
            init=_prepare,
            timeout=settings.db_wait_seconds,
            command_timeout=longest + HANG_SECONDS,
            server_settings={
                "application_name": "backdrop",
                "timezone": "UTC",
                # A call waits for its turn, be it for a connection or for a lock, and is then told to try again.
                "lock_timeout": _milliseconds(settings.db_wait_seconds),
                "statement_timeout": _milliseconds(longest),
                "idle_in_transaction_session_timeout": _milliseconds(longest),
            },
        ) as pool:
            yield cls(pool, settings)

    async def _take(self) -> _Pooled:
        """One connection, through the gate. Raises Unavailable (503) when none is to be had in `DB_WAIT_SECONDS`."""
        inside = False
        try:
            async with asyncio.timeout(self.settings.db_wait_seconds):
                await self._gate.acquire()
                inside = True
                return await self._pool.acquire()
        except BaseException as error:
            if not inside and isinstance(error, TimeoutError):
                raise Unavailable("The service is busy; try again shortly.", code="busy") from None
            if inside:
                self._gate.release()
            if isinstance(error, (*_GONE, TimeoutError, asyncpg.PostgresError)):
                raise Unavailable(code="database_unavailable") from error
            raise

    async def _give_back(self, connection: _Pooled) -> None:
        try:
            await self._pool.release(connection, timeout=self.settings.db_wait_seconds)
        finally:
            self._gate.release()

    def reading(self, patience: float | None = None) -> _Reading:
        """A connection in autocommit: every statement sees what is committed when it starts.

        `patience` is for how many seconds an answer is waited for, when that is less than for all others.
        """
        return _Reading(self, patience)

    async def change(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in one transaction and answer only after its COMMIT has been acknowledged.

        A serialization failure or a deadlock runs the whole once more; a second one is a 503.
        """
        for last in (False, True):
            changed: set[str] = set()
            try:
                async with _Borrowed(self) as connection, connection.transaction():
                    tx = Tx(connection, self.settings)
                    changed = tx.changed
                    result = await work(tx)
                    await tx.send_waiting()
                return result  # noqa: TRY300 only after COMMIT
            except _RETRIED as error:
                if last:
                    raise Unavailable("Two changes got in each other's way; try again.", code="contention") from error
            finally:  # also when it is not known whether the COMMIT went through
                for watcher in self.watchers:
                    watcher(changed)
        raise AssertionError("unreachable")
