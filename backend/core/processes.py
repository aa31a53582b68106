"""What a process of ours owes its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Let this process get SIGTERM when its parent ends, however it ends: a `kill -9` leaves no worker behind.

    Linux only; elsewhere the supervisor's pipe has to do. Exits at once when the parent is gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(1)
