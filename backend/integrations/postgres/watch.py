"""Watching the server that we own: when it ends by itself, it is started again."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable

from .cluster import Cluster
from .errors import PostgresError
from .process import stop, wait_for_orphans, wait_until_ready

LOOK_SECONDS = 0.05
PAUSE_SECONDS = 1.0


class Watch:
    """A thread that keeps the server running until `end`.

    A server that it starts is tied to the life of this thread, which is the process's own: after a kill -9 of the
    process it ends like the first one.
    """

    def __init__(self, cluster: Cluster, child: subprocess.Popen[bytes], again: Callable[[], subprocess.Popen[bytes]]):
        self._cluster = cluster
        self._child = child
        self._again = again
        self._ending = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="postgres-watch", daemon=True)

    def begin(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def end(self) -> None:
        """Stop the server, and with it the watch."""
        self._ending.set()
        with self._changing:  # from here on no other child is started
            child = self._child
        stop(child)
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(LOOK_SECONDS):
            if self._child.poll() is None:
                continue
            sys.stderr.write(f"backdrop: PostgreSQL ended with {self._child.returncode}; it is started again\n")
            try:
                self._restart()
            except (PostgresError, OSError) as error:
                if not self._ending.is_set():
                    sys.stderr.write(f"backdrop: {error}\n")
                    self._ending.wait(PAUSE_SECONDS)

    def _restart(self) -> None:
        """Start it once its old processes are gone; they notice within a moment that their parent is."""
        wait_for_orphans(self._cluster.data)
        with self._changing:
            if self._ending.is_set():
                return
            self._child = self._again()
        wait_until_ready(self._child, self._cluster.data, self._cluster.log)
