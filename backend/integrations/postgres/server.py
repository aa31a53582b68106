"""One PostgreSQL for a data folder: whoever comes first owns it, and those who come later use it."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg

from .cluster import USER, Cluster, open_cluster
from .errors import AlreadyRunning, PostgresError
from .lock import POLL_SECONDS, FileLock, make_folder
from .process import log_tail, start, wait_for_orphans, wait_until_ready
from .runtime import PORT, announced_dsn, clear_away, make_socket_folder, publish
from .watch import Watch

DATABASE = "backdrop"
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def embedded_postgres(
    data_dir: Path,
    *,
    pg_bin: Path | None = None,
    wait: float = 15.0,
    attach: bool = True,
    durable: bool = True,
    max_connections: int = 100,
    shared_buffers: str = "128MB",
) -> Iterator[str]:
    """Give a DSN (`postgresql://…`, for asyncpg and libpq) of the PostgreSQL of this data folder, started if need be.

    Must be entered from the main thread: the kernel stops the server when the thread that started it ends, which is
    what leaves nothing behind after a kill -9.

    When another process owns the server, `attach=True` waits up to `wait` seconds for it to be ready and uses it (it
    ends with its owner, not with this block); `attach=False` waits for the other to stop. After that AlreadyRunning.
    `durable=False` is for tests: a crash of the machine may then lose or spoil the data.
    Raises PostgresError, with the end of the server's log, when it cannot start.
    """
    folder = make_folder(data_dir)
    lock = FileLock(folder / "postgres.lock")
    dsn = _claim(lock, folder, wait, attach=attach)
    if dsn is not None:
        yield dsn
        return
    try:
        settings = {} if durable else NOT_DURABLE
        cluster = _prepare(folder, pg_bin, durable=durable)
        sizes = {"max_connections": str(max_connections), "shared_buffers": shared_buffers}
        with _serve(folder, cluster, {**settings, **sizes}) as dsn:
            yield dsn
    finally:
        lock.release()


def _claim(lock: FileLock, folder: Path, wait: float, *, attach: bool) -> str | None:
    """Become the owner (None), or get the DSN of the owner's server."""
    deadline = time.monotonic() + wait
    while not lock.acquire():
        if attach and (dsn := announced_dsn(folder)):
            return dsn
        if time.monotonic() >= deadline:
            raise AlreadyRunning(
                f"The PostgreSQL of the data folder {folder} is already in use by {lock.holder()}"
                f"{', and is not ready' if attach else ''}. Stop that process first, or set DATA_DIR to another folder."
            )
        time.sleep(POLL_SECONDS)
    return None


def _prepare(folder: Path, pg_bin: Path | None, *, durable: bool) -> Cluster:
    """Everything that must be true before the server starts."""
    try:
        clear_away(folder)
        cluster = open_cluster(folder, pg_bin, durable=durable)
        wait_for_orphans(cluster.data)
    except OSError as error:
        raise PostgresError(f"The PostgreSQL of the data folder {folder} cannot be prepared: {error}.") from error
    return cluster


@contextmanager
def _serve(folder: Path, cluster: Cluster, settings: dict[str, str]) -> Iterator[str]:
    """Run the server for as long as the block lasts; one that ends before is started again."""
    try:
        sockets = _sockets(folder, cluster)
        command = _command(cluster, sockets, settings)
        child = _launch(folder, cluster, command)
        watch = Watch(cluster, child, lambda: start(cluster.account, command, cluster.log))
        try:
            dsn = f"postgresql://{USER}:{quote(cluster.password)}@/{DATABASE}?host={quote(str(sockets))}&port={PORT}"
            wait_until_ready(child, cluster.data, cluster.log)
            _ensure_database(cluster, dsn)
            publish(folder, sockets, dsn)
            watch.begin()
            yield dsn
        finally:
            with suppress(OSError):  # a full disk must not keep the server from being stopped
                publish(folder, sockets)
            watch.end()
    finally:
        clear_away(folder)


def _sockets(folder: Path, cluster: Cluster) -> Path:
    try:
        return make_socket_folder(folder, cluster.account)
    except OSError as error:
        raise PostgresError(f"The PostgreSQL of the data folder {folder} cannot be started: {error}.") from error


def _launch(folder: Path, cluster: Cluster, command: list[str]) -> subprocess.Popen[bytes]:
    try:
        return start(cluster.account, command, cluster.log)
    except OSError as error:
        raise PostgresError(f"The PostgreSQL of the data folder {folder} cannot be started: {error}.") from error


def _command(cluster: Cluster, sockets: Path, settings: dict[str, str]) -> list[str]:
    """The command line of the server. Settings stand here and not in a file, so that they are the same for old data."""
    chosen = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_destination": "stderr",
        "logging_collector": "off",
        # Errors are in the program's own log, and rows of users have no place in this one.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        **settings,
    }
    pairs = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
    return [str(cluster.binaries.postgres), "-D", str(cluster.data), *pairs]


def _ensure_database(cluster: Cluster, dsn: str) -> None:
    """Make our database if it is missing. In a thread of its own, because an event loop may be running in this one."""
    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _create_if_missing(dsn)).result()
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        raise PostgresError(
            f"PostgreSQL started from {cluster.data} but cannot be used: {error}. The password is in "
            f"{cluster.home / 'password'}. Its log {cluster.log} ends:\n{log_tail(cluster.log)}"
        ) from error


async def _create_if_missing(dsn: str) -> None:
    try:
        connection = await asyncpg.connect(dsn, timeout=30)
    except asyncpg.InvalidCatalogNameError:
        connection = await asyncpg.connect(dsn, database="postgres", timeout=30)
        try:
            await connection.execute(f'CREATE DATABASE "{DATABASE}"')
        finally:
            await connection.close()
    else:
        await connection.close()
