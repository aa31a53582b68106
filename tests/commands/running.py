"""A real server process on a free port, as an operator starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A clean environment: nothing of the test run's own settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "DATA_DIR": str(folder), "PYTHONPATH": str(ROOT), "LOG_LEVEL": "warning", **more}


def backend(*arguments: str, env: dict[str, str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m backend …` to its end."""
    command = [sys.executable, "-m", "backend", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=env, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


class Server:
    """A server that runs, its address and its log."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.log = log

    def wait_until_up(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()}"
            if self.is_up():
                return
            time.sleep(0.05)
        raise AssertionError(f"the server did not come up:\n{self.log.read_text()}")

    def is_up(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and answer the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def serving(folder: Path, *command: str, port: int | None = None, **more: str) -> Iterator[Server]:
    """A server on the data folder, up when the block starts and killed if it still runs when the block ends."""
    number = port or free_port()
    log = folder / "server-output"
    arguments = [*command] or [sys.executable, "-m", "backend", "serve"]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [part.format(port=number) for part in arguments],
            cwd=ROOT,
            env=environment(folder, PORT=str(number), **more),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process, number, log)
    try:
        server.wait_until_up()
        yield server
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE)


@contextmanager
def data_folder() -> Iterator[Path]:
    """A data folder with a space in its name, that the unprivileged user of a root's PostgreSQL can reach."""
    with tempfile.TemporaryDirectory(prefix="backdrop test ", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def processes_of(folder: Path) -> list[str]:
    """The command lines of every living process that names the folder."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def wait_for(condition: Any, what: str) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
