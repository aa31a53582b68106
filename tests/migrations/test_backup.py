"""R13: a dump taken under load, with the uploads copied after it, restores to a whole installation."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from backend.integrations.postgres.account import Account
from backend.integrations.postgres.binaries import find_binaries
from backend.models.users import Role
from tests.commands.running import backend, environment
from tests.conftest import SERVER, run_sql
from tests.databases import on_database
from tests.faults import invariants, kills
from tests.faults.arena import Arena, connected, made, until, upload
from tests.faults.conftest import pair, shared_folder
from tests.faults.servers import Pair

__all__ = ["pair", "shared_folder"]
pytestmark = pytest.mark.timeout(180)


def programs() -> Path:
    """PostgreSQL's own programs: those of the embedded server, or of PG_BIN."""
    given = os.environ.get("PG_BIN")
    return find_binaries(
        Path(given) if given else None, Account(os.geteuid(), os.getegid(), "me", dropped=False)
    ).folder


async def run(program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(programs() / program, *arguments, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()


async def must_be_of_the_servers_version(dsn: str) -> None:
    """A newer pg_restore sets what an older server does not know: with another server, `PG_BIN` names its programs."""
    async with connected(dsn) as connection:
        server = connection.get_server_version().major
    shown = await asyncio.create_subprocess_exec(programs() / "pg_dump", "--version", stdout=asyncio.subprocess.PIPE)
    told, _ = await shown.communicate()
    ours = int(told.decode().split()[2].split(".")[0])
    if ours != server:
        pytest.skip(f"pg_dump is of PostgreSQL {ours}, the server of {server}: set PG_BIN")


async def test_a_dump_taken_under_load_restores_whole(pair: Pair, shared_folder: Path, tmp_path: Path) -> None:
    await must_be_of_the_servers_version(pair.dsn)
    arena = Arena(pair.dsn, pair.urls)
    notes = kills.Notes(tmp_path / "acknowledged")
    notes.log.touch()
    writers, stop = await kills.bids(arena), asyncio.Event()
    uploader = (await arena.add_members(Role.CREATOR, 1))[0]
    tasks = [asyncio.create_task(kills.write(arena, member, bid, notes, stop)) for member, bid in writers]

    async def upload_more() -> None:
        async with arena.wire(uploader) as wire:
            while not stop.is_set():
                made(await upload(wire))

    tasks.append(asyncio.create_task(upload_more()))
    await until(lambda: _written(notes, 40), 60, "nothing is written")
    promised = {tuple(line.split()) for line in notes.log.read_text().splitlines()}
    await run("pg_dump", "--format=custom", f"--file={tmp_path / 'dump'}", pair.dsn)
    await asyncio.to_thread(shutil.copytree, shared_folder / "uploads", tmp_path / "uploads")  # after the dump
    stop.set()
    await asyncio.gather(*tasks)

    server, name = os.environ[SERVER], f"backdrop_restored_{os.getpid()}"
    restored = on_database(server, name)
    await asyncio.to_thread(run_sql, server, f"CREATE DATABASE {name}")
    try:
        await run(
            "pg_restore",
            "--exit-on-error",
            "--single-transaction",
            "--no-owner",
            f"--dbname={restored}",
            str(tmp_path / "dump"),
        )
        async with connected(restored) as connection:
            assert await invariants.violations(connection) == {}
            rows = await connection.fetch("SELECT bid_id::text, version::text, amount::int::text FROM terms")
            assert promised <= {tuple(row) for row in rows}, "what was acknowledged before the dump began is in it"
            drafts = await connection.fetch("SELECT storage_key, sha256 FROM drafts")
        assert drafts
        for draft in drafts:
            content = (tmp_path / "uploads" / draft["storage_key"]).read_bytes()
            assert hashlib.sha256(content).digest() == draft["sha256"]
        checked = await asyncio.to_thread(backend, "check", env=environment(tmp_path, DATABASE_URL=restored))
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        await asyncio.to_thread(run_sql, server, f"DROP DATABASE {name} WITH (FORCE)")


async def _written(notes: kills.Notes, count: int) -> bool:
    return notes.acknowledged >= count
