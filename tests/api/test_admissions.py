"""S6: who was signed out is refused at the next read here, and within a second by the other processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from backend.core import clock
from backend.core.config import Settings
from backend.core.database import Database, Db
from backend.core.errors import NotSignedIn
from backend.core.tokens import Claims, read_access_token
from backend.main import create_app
from backend.policies import users as policy
from backend.policies.users import Actor, Admissions
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """Another process of the service, on the same database."""
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://backdrop.test") as client,
    ):
        yield client


async def test_after_signing_out_the_next_read_is_refused(world: World) -> None:
    person = await world.creator()
    ok(await person.get("/slots"))
    ok(await person.post("/auth/logout", {"refreshToken": person.refresh_token}))
    refused(await person.get("/slots"), 401, "session_ended")


async def test_a_deactivated_user_s_next_read_is_refused(world: World) -> None:
    operator, person = await world.operator(), await world.creator()
    ok(await person.get("/slots"))
    ok(await operator.patch(f"/operator/users/{person.id}", {"isActive": False}))
    refused(await person.get("/slots"), 401, "session_ended")


async def test_another_process_refuses_changes_at_once_and_reads_within_a_second(
    world: World, elsewhere: httpx2.AsyncClient
) -> None:
    person = await world.merchant()
    there = Person(elsewhere, person.token, person.user)
    ok(await there.get("/slots"))
    ok(await person.post("/auth/logout", {"refreshToken": person.refresh_token}))
    refused(await there.post("/skus", {"title": "Thermos", "price": 1, "margin": 1}), 401, "session_ended")
    await asyncio.sleep(Admissions.LIFETIME)
    refused(await there.get("/slots"), 401, "session_ended")


async def test_a_burst_of_reads_asks_once(app: FastAPI, world: World, sql: asyncpg.Connection[asyncpg.Record]) -> None:
    person = await world.creator()
    ok(await person.get("/slots"))
    await sql.execute("UPDATE sessions SET ended_at = now()")  # behind the service's back
    ok(await person.get("/slots"))
    await asyncio.sleep(Admissions.LIFETIME)
    refused(await person.get("/slots"), 401, "session_ended")


async def test_what_was_asked_before_a_change_is_not_kept_after_it(
    world: World, database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = await world.creator()
    assert person.token is not None
    assert settings.jwt_secret is not None
    claims = read_access_token(person.token, settings.jwt_secret.get_secret_value(), clock.now())
    admissions = Admissions(database)
    asked, answered = asyncio.Event(), asyncio.Event()
    ask = policy.authenticate

    async def slowly(db: Db, claims: Claims, *, lock: bool) -> Actor:
        actor = await ask(db, claims, lock=lock)
        asked.set()
        await answered.wait()
        return actor

    monkeypatch.setattr(policy, "authenticate", slowly)
    async with database.reading() as db:
        under_way = asyncio.create_task(admissions.admit(db, claims))
        await asked.wait()
        monkeypatch.setattr(policy, "authenticate", ask)
        ok(await person.post("/auth/logout", {"refreshToken": person.refresh_token}))
        answered.set()
        await under_way
        with pytest.raises(NotSignedIn):
            await admissions.admit(db, claims)
