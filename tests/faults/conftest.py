"""Two servers on a database of their own, shared by the tests of this folder: each test brings its own people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.running import data_folder
from tests.conftest import SERVER, run_sql
from tests.databases import TEMPLATE, on_database
from tests.faults.arena import Arena, small_arena
from tests.faults.servers import Pair, two_servers


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    with data_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def pair(shared_folder: Path, worker_id: str) -> Iterator[Pair]:
    """Two processes, each with a port of its own."""
    server = os.environ[SERVER]
    name = f"backdrop_faults_{worker_id}"
    run_sql(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    dsn = on_database(server, name)
    with two_servers(shared_folder, dsn) as servers:
        yield Pair(dsn, servers)
    run_sql(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
async def arena(pair: Pair) -> Arena:
    """A creator with a project of four slots, and two buyers."""
    return await small_arena(pair.dsn, pair.urls, buyers=2, slots=4)
