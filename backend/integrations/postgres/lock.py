"""Locks on files in the data folder. The kernel drops them when their process dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import AlreadyRunning, PostgresError

POLL_SECONDS = 0.02


class FileLock:
    """A `flock` on one file, which names its holder's pid for the messages. Programs we start do not inherit it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free, without waiting. Raises PostgresError when the file may not be opened."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise PostgresError(f"The file {self.path} cannot be opened by this user: {error.strerror}.") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN}:
                raise PostgresError(f"The file {self.path} cannot be locked: {error.strerror}.") from error
            return False
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lock back. The file stays, as another process may be waiting on it."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def holder(self) -> str:
        """Who holds it, as words for a message: "process 1234", or "another process" when that is not known."""
        try:
            pid = self.path.read_text().strip()
        except OSError:
            pid = ""
        return f"process {pid}" if pid.isdigit() else "another process"


def make_folder(data_dir: Path) -> Path:
    """The data folder as a full path, made when it is missing. Raises PostgresError when that is not allowed."""
    folder = data_dir.expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PostgresError(f"The data folder {folder} cannot be made: {error.strerror}.") from error
    return folder


@contextmanager
def hold_server_lock(data_dir: Path, wait: float = 15.0) -> Iterator[None]:
    """Hold DATA_DIR/server.lock, so that one server at a time works with the folder.

    Waits up to `wait` seconds for a predecessor that is still stopping, then raises AlreadyRunning.
    It is another lock than the one of `embedded_postgres`: a server takes both, in this order.
    """
    folder = make_folder(data_dir)
    lock = FileLock(folder / "server.lock")
    deadline = time.monotonic() + wait
    while not lock.acquire():
        if time.monotonic() >= deadline:
            raise AlreadyRunning(
                f"BackDrop is already running with the data folder {folder} ({lock.holder()}). "
                "Stop that one first, or set DATA_DIR to another folder."
            )
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()
