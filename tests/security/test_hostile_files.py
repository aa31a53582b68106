"""Hostile files (S12): refused or kept as they are, read in a child with limits, and never anyone else's trouble."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2
import pytest

from backend.core.database import Database
from backend.integrations.screenplays import UnreadableError, child
from backend.integrations.screenplays.child import read_in_child
from backend.integrations.storage import Storage
from backend.jobs.scripts import read_due
from tests.factories.world import World, ok
from tests.security.hostile import Hostile, documents, pdfs, texts

FILES: list[Hostile] = [*pdfs(), *documents(), *texts()]


def test_there_are_more_than_forty() -> None:
    assert len(FILES) >= 40
    assert child.SECONDS <= 10
    assert child.MEMORY <= 256 * 1024 * 1024


async def test_each_is_answered_soon_and_nothing_fails(world: World) -> None:
    cleo = await world.creator()
    form = {"title": "T", "budgetTarget": "1", "productionWindow": "Q1"}
    for what, name, content in FILES:
        started = time.monotonic()
        response = await cleo.post("/projects", data=form, files={"file": (name, content)})
        assert time.monotonic() - started < 10, what
        assert response.status_code in (201, 400, 415, 422), f"{what}: {response.status_code} {response.text}"
        if response.status_code == 201:
            await _comes_back_harmless(cleo.client, response.json()["docLink"], content, what)


async def _comes_back_harmless(client: httpx2.AsyncClient, link: str, content: bytes, what: str) -> None:
    """The file, byte for byte, as something that a browser saves and does not open."""
    back = await client.get(link)
    assert back.content == content, what
    assert back.headers["content-disposition"].startswith("attachment; filename="), what
    assert back.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in back.headers["content-security-policy"]
    assert "set-cookie" not in back.headers
    assert "/" not in back.headers["content-disposition"].replace("UTF-8''", ""), what


@pytest.mark.parametrize(
    "name",
    [
        *("laughs.fdx", "entity.fdx", "parameter.fdx", "other.fdx", "pdf.fountain", "script.exe"),
        *("cut.pdf", "head.pdf", "noise.pdf", "endless.pdf", "nowhere.pdf", "negative.pdf", "both.pdf"),
    ],
)
async def test_what_is_no_script_is_refused_by_name(world: World, name: str) -> None:
    cleo = await world.creator()
    content = next(each[2] for each in FILES if each[1] == name)
    form = {"title": "T", "budgetTarget": "1", "productionWindow": "Q1"}
    response = await cleo.post("/projects", data=form, files={"file": (name, content)})
    assert response.status_code == 415
    assert response.json()["code"] in ("content_mismatch", "unsupported_script")


async def test_a_locked_pdf_is_kept_and_said_to_be_locked(world: World, database: Database, storage: Storage) -> None:
    """It is a whole file, and its owner may want it there; nobody guesses at its password."""
    cleo = await world.creator()
    content = next(each[2] for each in FILES if each[1] == "locked.pdf")
    project = await world.project(cleo, content, "locked.pdf")
    assert await read_due(database, storage) == 1
    read = ok(await cleo.get(f"/projects/{project['id']}"))
    assert read["scriptStatus"] == "unreadable"
    assert "password" in read["scriptStatusReason"]


async def test_reading_them_ends_within_its_limits_while_others_are_served(client: httpx2.AsyncClient) -> None:
    """Each in a child of its own, two at a time; what this process answers meanwhile does not wait for them."""
    places = asyncio.Semaphore(2)
    slowest: dict[str, float] = {}

    async def read(hostile: Hostile) -> None:
        what, name, content = hostile
        async with places:
            started = time.monotonic()
            try:
                await read_in_child(_chunks(content), f".{name.rpartition('.')[2]}")
            except UnreadableError as refused:
                assert str(refused), what  # noqa: PT017 most of them are refused, some are only odd
            slowest[what] = time.monotonic() - started

    reading = asyncio.gather(*(read(each) for each in FILES if each[1].endswith((".pdf", ".fdx", ".fountain"))))
    waits = []
    while not reading.done():
        started = time.monotonic()
        assert (await client.get("/healthz/live")).status_code == 200
        waits.append(time.monotonic() - started)
        await asyncio.sleep(0.05)
    await reading
    assert max(slowest.values()) < child.SECONDS + 6, slowest
    assert sorted(waits)[int(len(waits) * 0.95)] < 0.5


async def _chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1 << 16):
        yield content[start : start + (1 << 16)]
