"""Scripts of a test's projects: read as the job reads them, and their scenes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

from backend.core.database import Database
from backend.integrations.screenplays import read_scenes
from backend.integrations.storage import Storage
from backend.jobs.scripts import read_due
from tests.factories.people import Person
from tests.factories.world import World, ok

DINER = b"""INT. DINER - NIGHT #1#

MARA pours coffee from a dented steel thermos.

MARA
I never drink my coffee cold.

"""
ROAD = b"""EXT. ROAD - DAY #2#

A taxi passes in the rain. Nobody waves, and nobody gets out of the taxi.

"""
OFFICE = b"""INT. OFFICE - DAY #3#

A desk, a lamp, a stapler. TOM types on a laptop. TOM closes the laptop.

"""
FIRST = DINER + ROAD + OFFICE


async def read_here(content: AsyncIterator[bytes], extension: str) -> list[dict[str, Any]]:
    """What the child process does, without one: these scripts are no enemies, and it takes its time to start."""
    whole = b"".join([chunk async for chunk in content])
    return [scene.values() for scene in read_scenes(BytesIO(whole), extension)]


class Scripts:
    """The reading of scripts in a test."""

    def __init__(self, world: World, database: Database, storage: Storage) -> None:
        self.world, self.database, self.storage = world, database, storage

    async def read(self) -> int:
        """What the worker does. Answers how many drafts it read."""
        return await read_due(self.database, self.storage)

    async def project(self, creator: Person, content: bytes = FIRST, **fields: Any) -> dict[str, Any]:
        """A project whose script has been read."""
        project = await self.world.project(creator, content, **fields)
        await self.read()
        return project

    async def scenes(self, creator: Person, project: dict[str, Any]) -> list[dict[str, Any]]:
        """The scenes of its current draft."""
        found: list[dict[str, Any]] = ok(await creator.get(f"/projects/{project['id']}/scenes"))
        return found

    async def draft(self, creator: Person, project: dict[str, Any], content: bytes, *, read: bool = True) -> None:
        """A new draft, read unless told otherwise."""
        script = {"file": ("next.fountain", content)}
        ok(await creator.put(f"/projects/{project['id']}/script", files=script))
        if read:
            assert await self.read() == 1
