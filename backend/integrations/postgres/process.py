"""Starting, watching and stopping the server, and knowing which processes belong to a data folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

from .account import Account, clean_environment
from .errors import PostgresError

START_SECONDS = 120.0
STOP_SECONDS = 30.0
ORPHAN_SECONDS = 60.0
PROC = Path("/proc")

# Runs in the new process in place of a preexec_fn, which would run Python in a fork of a program with threads.
# Order matters: everything is loaded before root's rights go (they may be what makes the library readable), changing
# the user clears the parent-death signal, so that comes after, and the parent may have died before it was set.
# SIGINT gets its default meaning first, or Python would swallow one that comes just before the exec.
_GUARD = """
import os, sys, _signal
uid, gid, parent, death = (int(part) for part in sys.argv[1:5])
_signal.signal(_signal.SIGINT, _signal.SIG_DFL)
prctl = None
if sys.platform == "linux":
    try:
        import ctypes
        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        pass
if uid >= 0:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
if prctl is not None:
    prctl(1, death, 0, 0, 0)
if os.getppid() != parent:
    os._exit(1)
os.execv(sys.argv[5], sys.argv[5:])
"""


class Options(TypedDict):
    """What every program of ours that outlives a moment is started with."""

    stdin: int
    cwd: str
    env: dict[str, str]
    start_new_session: bool


def guarded_options() -> Options:
    """Own session (a Ctrl-C of the terminal reaches Python alone), no input, none of our environment."""
    return {"stdin": subprocess.DEVNULL, "cwd": "/", "env": clean_environment(), "start_new_session": True}


def guarded_command(account: Account, death: str, command: list[str]) -> list[str]:
    """The command line that becomes `command` as `account`, and gets the signal `death` when this thread ends."""
    uid, gid = (account.uid, account.gid) if account.dropped else (-1, -1)
    numbers = [uid, gid, os.getpid(), signal.Signals[death].value]
    return [sys.executable, "-I", "-S", "-c", _GUARD, *map(str, numbers), *command]


def start(account: Account, command: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start the server as a direct child. Its death signal is SIGINT: disconnect everyone, write a checkpoint, end."""
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    with open(log, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        guarded = guarded_command(account, "SIGINT", command)
        return subprocess.Popen(guarded, stdout=file, stderr=file, **guarded_options())  # noqa: S603


def wait_until_ready(child: subprocess.Popen[bytes], data: Path, log: Path) -> None:
    """Return when the server accepts connections. Raises PostgresError with the end of its log when it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not _is_ready(child.pid, data):
        if child.poll() is not None:
            raise PostgresError(f"PostgreSQL did not start from {data}. Its log {log} ends:\n{log_tail(log)}")
        if time.monotonic() >= deadline:
            raise PostgresError(
                f"PostgreSQL was not ready after {START_SECONDS:.0f} seconds. Its log {log} ends:\n{log_tail(log)}"
            )
        time.sleep(0.005)


def _is_ready(pid: int, data: Path) -> bool:
    """The server's own word, on the eighth line of its pid file (what `pg_ctl` goes by)."""
    lines = _pid_lines(data)
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _pid_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def log_tail(log: Path) -> str:
    """The last lines of the server's log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-12:])
    except OSError:
        return "(no log)"


def stop(child: subprocess.Popen[bytes]) -> None:
    """Stop the server that we started: fast, then immediately (the next start recovers), then for good."""
    for number, seconds in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)):
        if child.poll() is not None:
            return
        child.send_signal(number)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def wait_for_orphans(data: Path, seconds: float = ORPHAN_SECONDS) -> None:
    """Wait for the server of a killed predecessor, which is writing its last checkpoint, then clear its pid file.

    Never ends a process: raises PostgresError, naming it, when one stays.
    """
    deadline = time.monotonic() + seconds
    while pids := sorted(_inhabitants(data)):
        if time.monotonic() >= deadline:
            raise PostgresError(
                f"A PostgreSQL that an earlier run left behind still uses {data} (process {pids[0]}) "
                f"and does not stop. Stop it with: kill -INT {pids[0]}"
            )
        time.sleep(0.02)
    _clear_stale_pid(data)


def _clear_stale_pid(data: Path) -> None:
    """Take away a pid file that PostgreSQL would believe in: its pid now belongs to some other program, or is none.

    Call it only when no process of this folder is left. The file of a dead pid is PostgreSQL's own business: it also
    looks there for shared memory that is still in use.
    """
    lines = _pid_lines(data)
    path = data / "postmaster.pid"
    if not lines or not lines[0].strip().isdigit() or is_alive(int(lines[0])):
        path.unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Whether a process of this number exists, whoever it belongs to."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _inhabitants(data: Path) -> Iterator[int]:
    """The pids of PostgreSQL processes that live in this data folder, and no others."""
    if PROC.joinpath("self", "comm").exists():
        for entry in os.listdir(PROC):
            if entry.isdigit() and _lives_in(PROC / entry, data):
                yield int(entry)
        return
    lines = _pid_lines(data)
    if lines and lines[0].strip().isdigit():
        command = ["ps", "-p", lines[0].strip(), "-o", "command="]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
        if "postgres" in said.stdout and str(data) in said.stdout:
            yield int(lines[0])


def _lives_in(process: Path, data: Path) -> bool:
    """A process named postgres whose working directory, or else whose -D, is the folder. Others may share the name."""
    try:
        if (process / "comm").read_text().strip() != "postgres":
            return False
        try:
            return os.path.samestat(os.stat(process / "cwd"), os.stat(data))
        except PermissionError:  # root without the right to trace, as in most containers
            return os.fsencode(data) in (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile
        return False
