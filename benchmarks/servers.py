"""The programs that are measured, each a process of its own, and what they and PostgreSQL use."""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
SECRET = "a secret for measuring, of more than thirty-two bytes"
UVICORN = ["-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--host", "127.0.0.1"]
COMMANDS = {
    "floor": [*UVICORN, "benchmarks.programs.floor:app"],
    "usual": [*UVICORN, "benchmarks.programs.usual:app"],
    "product": ["-m", "backend", "serve"],
    "litestar": [*UVICORN, "benchmarks.programs.litestar_peer:app"],
    "ninja": [*UVICORN, "--lifespan", "off", "benchmarks.programs.ninja_peer:app"],
}


@dataclass(slots=True)
class Server:
    """A running program."""

    name: str
    port: int
    process: psutil.Popen
    seconds_to_first_answer: float

    def cpu(self) -> float:
        """The processor seconds it has used so far, its children's included."""
        return used([self.process, *self.process.children(recursive=True)])

    def memory(self) -> float:
        """Resident memory of the process and its children, in megabytes."""
        family = [self.process, *self.process.children(recursive=True)]
        return float(sum(each.memory_info().rss for each in family)) / 1e6


def used(processes: list[psutil.Process]) -> float:
    """Processor seconds of processes and of their children that have ended."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def postgres_cpu() -> float:
    """The processor seconds of the embedded PostgreSQL and its backends."""
    family = psutil.Process().children(recursive=True)
    return used([each for each in family if "postgres" in each.name()])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str, token: str) -> tuple[int, bytes]:
    """One call, its status and bytes; status 0 when nobody is there."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()
    except OSError:
        return 0, b""


@contextmanager
def running(name: str, dsn: str, log: Path, first: tuple[str, str], workers: int = 1, **more: str) -> Iterator[Server]:
    """A program that has given its first answer (to this path, with this token). Raises RuntimeError if it does not."""
    port = free_port()
    environment = {
        **os.environ,
        "APP_ENV": "production",
        "DATABASE_URL": dsn,
        "DATA_DIR": str(log.parent / f"{name}-data"),
        "JWT_SECRET": SECRET,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DB_POOL_SIZE": "10",
        "PYTHONPATH": str(ROOT),
        **more,
    }
    arguments = (
        [*COMMANDS[name], "--workers", str(workers)] if name == "product" else [*COMMANDS[name], "--port", str(port)]
    )
    started = time.perf_counter()
    with log.open("wb") as output:
        process = psutil.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            while answers(port, *first)[0] != 200:
                if process.poll() is not None or time.perf_counter() - started > 60:
                    raise RuntimeError(f"{name} does not answer:\n{log.read_text()[-3000:]}")
                time.sleep(0.01)
            yield Server(name, port, process, time.perf_counter() - started)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
