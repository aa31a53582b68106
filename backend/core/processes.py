"""What a process of ours owes its parent, and a parent its processes."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from uvicorn.supervisors import Multiprocess, multiprocess

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Let this process get SIGTERM when its parent ends, however it ends: a `kill -9` leaves no worker behind.

    Linux only; elsewhere the supervisor's pipe has to do. Exits at once when the parent is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)


@contextmanager
def settled() -> Iterator[None]:
    """Inside, the garbage collector leaves alone what stood at the beginning: modules, routes, schemas, statements.

    They are there to stay, and to look at all of them stops every call for 60 ms (decision 122).
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Worker(multiprocess.Process):
    """uvicorn's worker, whose death is heard of at once.

    uvicorn asks a worker whether it lives and waits for an answer on a pipe. It keeps the worker's end of it open
    itself, so that a worker killed in the middle of the question is waited for as long as one that is only slow.
    """

    def start(self) -> None:
        """Start it; its end of the pipe is its own from now on."""
        super().start()
        self.child_conn.close()


class Supervisor(Multiprocess):
    """uvicorn's supervisor with such workers."""

    def run(self) -> None:
        """Serve until a signal ends it."""
        multiprocess.Process = Worker  # type: ignore[misc] # there is no other way to say so
        super().run()
