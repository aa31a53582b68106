"""The disk of uploads full, read-only or gone: 503 with Retry-After, and nothing half made."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.errors import Unavailable
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import FOUNTAIN, World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """The folder of uploads."""
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def small_disk(disk: Path) -> Iterator[Path]:
    """It is a disk of its own, of 256 kB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def files_on(disk: Path) -> int:
    return len([path for path in disk.rglob("*") if path.is_file()])


@pytest.fixture
def settings(tmp_path: Path, dsn: str, disk: Path) -> Settings:
    return Settings(
        _env_file=None,
        app_env="test",
        database_url=SecretStr(dsn),
        data_dir=tmp_path,
        upload_dir=disk,
        jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
    )


async def upload(creator: Person, content: bytes) -> httpx2.Response:
    form = {"title": "Night Train", "budgetTarget": "100000", "productionWindow": "Q3 2027"}
    return await creator.post("/projects", data=form, files={"file": ("a.fountain", content)})


async def none_is_made(sql: Sql, disk: Path, files: int = 0) -> None:
    for table in ("projects", "drafts"):
        assert await sql.fetchval(f"SELECT count(*) FROM {table}") == files
    assert files_on(disk) == files


async def test_a_full_disk_is_503_and_leaves_neither_row_nor_file(world: World, sql: Sql, small_disk: Path) -> None:
    creator = await world.creator()
    answer = await upload(creator, FOUNTAIN * 10_000)
    refused(answer, 503, "storage_unavailable")
    assert answer.headers["retry-after"] == "1"
    await none_is_made(sql, small_disk)
    ok(await upload(creator, FOUNTAIN))
    await none_is_made(sql, small_disk, files=1)


async def test_a_read_only_disk_is_503_and_leaves_no_row(world: World, sql: Sql, small_disk: Path) -> None:
    creator = await world.creator()
    project = ok(await upload(creator, FOUNTAIN))
    make_read_only(small_disk)
    refused(await upload(creator, FOUNTAIN), 503, "storage_unavailable")
    await none_is_made(sql, small_disk, files=1)
    assert (await creator.get(f"/projects/{project['id']}/script")).content == FOUNTAIN, "reading goes on"


async def test_a_store_that_breaks_off_is_503_and_leaves_no_row(
    world: World, app: FastAPI, sql: Sql, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put(_: object) -> str:
        raise Unavailable(code="storage_unavailable") from OSError(errno.ENOSPC, "full")

    creator = await world.creator()
    monkeypatch.setattr(app.state.storage, "put", put)
    refused(await upload(creator, FOUNTAIN), 503, "storage_unavailable")
    await none_is_made(sql, disk)
