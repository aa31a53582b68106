"""A marketplace to fight over: people who are signed in, projects and slots, on a server that runs as a process.

Accounts and sessions are written straight into the database, since hashing passwords is not what is tried here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from pydantic import SecretStr

from backend.core import clock
from backend.core.config import Settings
from backend.core.database import Database, Tx
from backend.core.ids import new_id
from backend.core.tokens import Claims, make_access_token
from backend.models.events import ActorRole
from backend.models.users import Role
from backend.services import users
from backend.services.users import NewUser
from tests.faults.wire import Answer, Wire

SECRET = "a secret of thirty-two bytes or more"
FOUNTAIN = b"Title: Night Train\n\nINT. TRAIN - NIGHT\n\nA cup of coffee steams on the sill.\n"


@dataclass(frozen=True, slots=True)
class Member:
    """Someone signed in."""

    id: str
    role: Role
    token: str


@dataclass(slots=True)
class Arena:
    """The people and things of one fight, and the addresses of the servers it is fought on."""

    dsn: str
    urls: Sequence[str]
    creators: list[Member] = field(default_factory=list)
    buyers: list[Member] = field(default_factory=list)
    operators: list[Member] = field(default_factory=list)
    projects: dict[str, str] = field(default_factory=dict)  # with their creators' ids
    slots: list[str] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)

    def owner_of(self, slot: str) -> str:
        """The id of the slot's creator."""
        return self.owners[slot]

    def wire(self, member: Member | None = None, server: int = 0, timeout: float = 30.0) -> Wire:
        """A connection of this member to one of the servers."""
        return Wire(self.urls[server % len(self.urls)], member.token if member else None, timeout)

    async def add_members(self, role: Role, count: int) -> list[Member]:
        """New accounts of a role, signed in for a day."""
        config = Settings(_env_file=None, app_env="test", database_url=SecretStr(self.dsn), db_pool_size=4)
        async with Database.opened(self.dsn, config) as database:
            return [await database.change(lambda tx: _member(tx, role)) for _ in range(count)]

    async def add_project(self, creator: Member) -> str:
        """A project with a small script."""
        async with self.wire(creator) as wire:
            project: str = made(await upload(wire))["id"]
        self.projects[project] = creator.id
        return project

    async def add_slots(self, creator: Member, project: str, count: int, **fields: Any) -> list[str]:
        """Slots of one project: Public auctions with a floor of 100 unless told otherwise."""
        body = {
            "projectId": project,
            "sceneRef": "Scene 1",
            "pricingFloor": 100,
            "modality": "Private Auction",
            "visibility": "Public",
            **fields,
        }
        async with self.wire(creator) as wire:
            added = [str(made(await wire.call("POST", "/slots", body))["id"]) for _ in range(count)]
        self.slots += added
        self.owners |= dict.fromkeys(added, creator.id)
        return added


async def _member(tx: Tx, role: Role) -> Member:
    new = NewUser(f"{new_id()}@example.com", f"A {role}", role)
    user_id = await users.create(tx, new, "no password fits this", ActorRole.SYSTEM)
    session_id = new_id()
    await tx.fetch(
        "INSERT INTO sessions (id, user_id, created_at) VALUES ($1, $2, $3)", (session_id, user_id, clock.now())
    )
    token = make_access_token(Claims(user_id, session_id), SECRET, clock.now(), 86400)
    return Member(str(user_id), role, token)


def made(answer: Answer) -> Any:
    """The JSON of a success; anything else fails with what was answered."""
    assert 200 <= answer.status < 300, f"{answer.status} {answer.body!r}"
    return answer.json() if answer.body else None


async def upload(wire: Wire, content: bytes = FOUNTAIN, **headers: str) -> Answer:
    """Make a project over the wire."""
    fields = {"title": "Night Train", "budgetTarget": "100000", "productionWindow": "Q3 2027"}
    parts = [
        f'--edge\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    parts.append('--edge\r\ncontent-disposition: form-data; name="file"; filename="a.fountain"\r\n\r\n')
    body = "".join(parts).encode() + content + b"\r\n--edge--\r\n"
    kind = "multipart/form-data; boundary=edge"
    return await wire.send("POST", "/projects", body, **{"content-type": kind}, **headers)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection behind the service's back."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def small_arena(dsn: str, urls: Sequence[str], *, buyers: int, slots: int, **fields: Any) -> Arena:
    """One creator with one project, and these many buyers and slots."""
    arena = Arena(dsn, urls)
    arena.creators = await arena.add_members(Role.CREATOR, 1)
    arena.buyers = await arena.add_members(Role.ADVERTISER, buyers)
    project = await arena.add_project(arena.creators[0])
    await arena.add_slots(arena.creators[0], project, slots, **fields)
    return arena


async def until(condition: Any, seconds: float, what: str) -> float:
    """Wait until an async condition is so; answers how long it took. Fails after `seconds`."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while not await condition():
        assert loop.time() - started < seconds, what
        await asyncio.sleep(0.02)
    return loop.time() - started
