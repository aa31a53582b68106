"""Files that no row names are deleted after a day; young ones, and named ones, never."""

from __future__ import annotations

import io

from backend.core.config import Settings
from backend.core.database import Database
from backend.integrations.storage import Storage
from backend.jobs.files import sweep
from backend.services import maintenance
from tests.factories.world import World


async def test_a_file_that_no_row_names_is_swept_after_a_day(
    world: World, database: Database, storage: Storage, settings: Settings
) -> None:
    creator = await world.creator()
    project = await world.project(creator)
    named = set(await storage.stored(world.now()))
    orphan = await storage.put(io.BytesIO(b"left by a process that was killed before its COMMIT"))
    (settings.uploads / f"{'0' * 32}#1").write_bytes(b"half of an upload")
    (settings.uploads / "notes.txt").write_bytes(b"not ours")
    assert await sweep(database, storage) == 0, "an upload may be under way"
    world.advance(hours=25)
    assert len(await storage.stored(world.now())) == 3
    assert await sweep(database, storage, limit=1) == 1
    assert await sweep(database, storage) == 1
    assert await storage.missing([orphan]) == [orphan]
    assert set(await storage.stored(world.now())) == named
    assert (settings.uploads / "notes.txt").exists()
    creator = await world.log_in(str(creator.user and creator.user["email"]))
    assert (await creator.get(f"/projects/{project['id']}/script")).is_success


async def test_check_tells_of_a_script_that_is_missing(
    world: World, storage: Storage, settings: Settings, dsn: str
) -> None:
    await world.project(await world.creator())
    [key] = await storage.stored(world.now())
    assert all(each.ok for each in await maintenance.check(dsn, settings))
    await storage.delete(key)
    [wrong] = [each for each in await maintenance.check(dsn, settings) if not each.ok]
    assert wrong.what == "uploads"
    assert key in wrong.advice
