"""The server as a process: starts, stops, is killed, and shares its folder with the other commands."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from backend.main import BY_HAND
from tests.commands.running import backend, data_folder, environment, processes_of, serving, wait_for

pytestmark = pytest.mark.timeout(180)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


def sign_up(url: str, email: str) -> int:
    body = {"email": email, "password": "a password of some length", "name": "Cleo", "role": "Creator"}
    return httpx2.post(f"{url}/api/v1/auth/signup", json=body, timeout=20).status_code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_server_and_database_and_the_next_start_is_quick(folder: Path, number: int) -> None:
    with serving(folder) as server:
        assert sign_up(server.url, "cleo@example.com") == 201
        assert server.stop(number) in (0, 130)
    assert "the API is at" in server.log.read_text()
    assert processes_of(folder / "postgres") == []

    started = time.monotonic()
    with serving(folder) as server:
        assert time.monotonic() - started < 15
        assert sign_up(server.url, "CLEO@example.com") == 409, "what was written is still there"
        server.stop()


@LINUX
def test_kill_9_leaves_nothing_running_and_nothing_that_stops_the_next_start(folder: Path) -> None:
    with serving(folder) as server:
        assert sign_up(server.url, "cleo@example.com") == 201
        server.process.kill()
        server.process.wait()
        wait_for(lambda: processes_of(folder / "postgres") == [], "PostgreSQL survived its parent")
    with serving(folder) as server:
        assert sign_up(server.url, "cleo@example.com") == 409
        server.stop()


@LINUX
def test_workers_share_the_port_are_replaced_and_end_with_their_parent(folder: Path) -> None:
    with serving(folder, sys.executable, "-m", "backend", "serve", "--workers", "2") as server:
        assert sign_up(server.url, "cleo@example.com") == 201
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not server.is_up() and processes_of(folder / "postgres") == [], "a worker survived")


def test_a_second_server_on_the_folder_is_refused_with_a_sentence(folder: Path) -> None:
    with serving(folder) as server:
        refused = backend("serve", env=environment(folder, PORT="1"))
        assert refused.returncode == 1
        assert "is already running with the data folder" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert server.is_up()
        server.stop()


def test_every_command_works_while_the_server_runs(folder: Path) -> None:
    env = environment(folder)
    with serving(folder) as server:
        checked = backend("check", env=env)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert backend("migrate", env=env).returncode == 0
        made = backend(
            "create-operator",
            "--email",
            "op@example.com",
            "--name",
            "Op",
            "--password-stdin",
            env=env,
            stdin="an operator's password\n",
        )
        assert made.returncode == 0, made.stderr
        login = {"email": "op@example.com", "password": "an operator's password"}
        answer = httpx2.post(f"{server.url}/api/v1/auth/login", json=login, timeout=20).json()
        assert answer["user"]["role"] == "Operator"
        ended = backend("end-sessions", "--email", "OP@example.com", env=env)
        assert "1 sessions were ended" in ended.stdout, ended.stderr
        headers = {"Authorization": f"Bearer {answer['token']}"}
        patched = httpx2.patch(f"{server.url}/api/v1/auth/me", json={}, headers=headers, timeout=20)
        assert patched.json()["code"] == "session_ended"
        again = backend(
            "create-operator",
            "--email",
            "OP@example.com",
            "--name",
            "Op",
            "--password-stdin",
            env=env,
            stdin="an operator's password\n",
        )
        assert again.returncode == 1
        assert "exists already" in again.stderr
        server.stop()


def test_uvicorn_serves_the_application_too(folder: Path) -> None:
    migrated = backend("migrate", env=environment(folder))
    assert migrated.returncode == 0, migrated.stderr
    with serving(folder, sys.executable, "-m", "uvicorn", "backend.main:app", "--port", "{port}") as server:
        assert sign_up(server.url, "cleo@example.com") == 201
        with ThreadPoolExecutor(8) as threads:
            invented = list(threads.map(lambda number: _forgot(server.url, number), range(60)))
        assert set(invented) == {202, 429}, "an invented address is no new client, though uvicorn believes it"
        server.stop()
    assert BY_HAND in server.log.read_text()
    wait_for(lambda: processes_of(folder / "postgres") == [], "PostgreSQL survived")


def _forgot(url: str, number: int) -> int:
    """Thirty a minute for an address."""
    headers = {"X-Forwarded-For": f"198.51.100.{number}"}
    body = {"email": f"nobody{number}@example.com"}
    return httpx2.post(f"{url}/api/v1/auth/forgot-password", json=body, headers=headers, timeout=20).status_code


@pytest.mark.parametrize(
    ("setting", "value", "name"),
    [
        ("PORT", "70000", "PORT"),
        ("JWT_SECRET", "short-and-secret", "JWT_SECRET"),
        ("DATABASE_URL", "mysql://planted-password@localhost/x", "DATABASE_URL"),
        ("CURRENCY", "dollars", "CURRENCY"),
    ],
)
def test_bad_configuration_is_named_and_never_shown(folder: Path, setting: str, value: str, name: str) -> None:
    refused = backend("serve", env=environment(folder, **{setting: value}))
    assert refused.returncode == 1
    assert name in refused.stderr
    assert value not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr


def test_check_says_what_to_do_when_the_database_is_not_there(folder: Path) -> None:
    env = environment(folder, DATABASE_URL="postgresql://nobody:planted@127.0.0.1:9/nowhere")
    found = backend("check", env=env)
    assert found.returncode == 1
    assert "DATABASE_URL" in found.stdout
    assert "planted" not in found.stdout + found.stderr


def test_every_command_has_help(folder: Path) -> None:
    for command in ("serve", "migrate", "create-operator", "end-sessions", "check"):
        assert backend(command, "--help", env=environment(folder)).returncode == 0
