"""The test bed: real PostgreSQL, built by the migrations, a database for every test, calls through HTTP.

The controller starts an embedded PostgreSQL (or uses `TEST_DATABASE_URL`) and migrates a template; each test gets a
clone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from passlib.context import CryptContext
from pydantic import SecretStr

from backend.core import passwords
from backend.core.config import Settings
from backend.core.database import Database
from backend.integrations.postgres import embedded_postgres
from backend.integrations.storage import Storage
from backend.main import create_app
from backend.services import maintenance
from tests import databases
from tests.contract import must_keep_contract
from tests.databases import TEMPLATE, on_database
from tests.factories.scripts import Scripts, read_here
from tests.factories.world import World

SERVER = "BACKDROP_TEST_SERVER"
_resources = ExitStack()


def run_sql(dsn: str, *statements: str) -> None:
    """Run statements outside a transaction."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def pytest_configure(config: pytest.Config) -> None:
    """Start the server and migrate the template, once for all workers."""
    if hasattr(config, "workerinput") or SERVER in os.environ or config.option.collectonly:
        return
    server = os.environ.get("TEST_DATABASE_URL")
    if not server:
        folder = Path(tempfile.mkdtemp(prefix="backdrop-tests-"))
        folder.chmod(0o755)
        _resources.callback(shutil.rmtree, folder, ignore_errors=True)
        server = _resources.enter_context(embedded_postgres(folder, durable=False, max_connections=200))
    os.environ[SERVER] = server
    _resources.callback(os.environ.pop, SERVER, None)
    run_sql(server, f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {TEMPLATE}")
    maintenance.migrate(on_database(server, TEMPLATE))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    _resources.close()


@pytest.fixture(autouse=True, scope="session")
def closed_sockets() -> Iterator[None]:
    """Nothing leaves the machine: only unix sockets and loopback may be connected to."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def cheap_passwords() -> Iterator[None]:
    """Hashing at the lowest cost: the real cost has tests of its own (`real_passwords`)."""
    patch = pytest.MonkeyPatch()
    patch.setattr(
        passwords,
        "_context",
        CryptContext(
            schemes=["argon2", "bcrypt"],
            deprecated="auto",
            argon2__type="ID",
            argon2__memory_cost=64,
            argon2__time_cost=1,
            argon2__parallelism=1,
            bcrypt__rounds=4,
        ),
    )
    passwords._decoy.cache_clear()
    yield
    patch.undo()


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop that production uses."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def dsn(worker_id: str) -> AsyncIterator[str]:
    """A migrated, empty database of this test's own."""
    server = os.environ[SERVER]
    clone = await databases.take(server, worker_id)
    yield databases.on_database(server, clone.name)
    await databases.give_back(server, clone)


@pytest.fixture
def settings(tmp_path: Path, dsn: str) -> Settings:
    """The settings of a test's service; override this fixture to change one."""
    return Settings(
        _env_file=None,
        app_env="test",
        database_url=SecretStr(dsn),
        data_dir=tmp_path,
        jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
        db_pool_size=10,
    )


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The service with its lifespan open."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
def database(app: FastAPI) -> Database:
    """The service's database."""
    found: Database = app.state.database
    return found


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    """The service's files."""
    found: Storage = app.state.storage
    return found


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection beside the service's, for looking behind it."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """HTTP without a token."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app),
        base_url="http://backdrop.test",
        event_hooks={"response": [must_keep_contract]},
    ) as client:
        yield client


@pytest.fixture
def world(client: httpx2.AsyncClient, database: Database) -> Iterator[World]:
    """People, their things, and the hands of the clock."""
    with World(client, database) as world:
        yield world


@pytest.fixture
def scripts(world: World, database: Database, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Scripts:
    """The reading of scripts, without a process for each."""
    monkeypatch.setattr("backend.jobs.scripts.read_in_child", read_here)
    return Scripts(world, database, storage)
