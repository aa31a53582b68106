"""Views: whoever reads words of a script is on the record before they see them."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.core.database import Database
from backend.integrations.storage import Storage
from backend.jobs.scripts import read_due
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def cleo(world: World) -> Person:
    return await world.creator(name="Cleo Marchetti")


@pytest.fixture
async def project(world: World, cleo: Person, database: Database, storage: Storage) -> dict[str, Any]:
    project = await world.project(cleo)
    await read_due(database, storage)
    return project


async def views(person: Person, project: dict[str, Any], **params: Any) -> Any:
    return ok(await person.get(f"/projects/{project['id']}/views", params=params))


async def test_every_way_to_read_a_script_is_a_view(
    world: World, cleo: Person, project: dict[str, Any], database: Database, storage: Storage
) -> None:
    path = f"/projects/{project['id']}"
    olga = await world.operator()
    assert await views(cleo, project) == []
    ok(await cleo.put(f"{path}/script", files={"file": ("b.fountain", b"INT. BOAT - DAY\n\nShe rows.\n")}))
    await read_due(database, storage)
    at = world.freeze()
    for person, way in (
        (cleo, f"{path}/script"),
        (olga, f"{path}/scenes"),
        (olga, f"{path}/slot-suggestions"),
        (cleo, f"{path}/drafts/2/diff"),
    ):
        answer = await person.get(way, headers={"X-Request-ID": "one-of-mine"})
        assert answer.status_code == 200
    assert (await world.client.get(project["docLink"])).status_code == 200
    found = await views(cleo, project)
    assert [each["what"] for each in found] == ["script", "comparison", "suggestions", "scenes", "script"]
    assert [each["readerId"] for each in found] == [cleo.id, cleo.id, olga.id, olga.id, cleo.id]
    scenes = found[3]
    assert scenes == {
        "id": scenes["id"],
        "at": scenes["at"],
        "readerId": olga.id,
        "readerName": "Op Erator",
        "readerRole": "Operator",
        "what": "scenes",
        "draftNumber": 2,
        "slotId": None,
        "bidId": None,
        "requestId": "one-of-mine",
    }
    assert scenes["at"].startswith(f"{at:%Y-%m-%dT%H:%M:%S}")
    assert await views(olga, project) == found


async def test_every_view_counts_and_refusals_do_not(world: World, cleo: Person, project: dict[str, Any]) -> None:
    path = f"/projects/{project['id']}/script"
    await world.slot(cleo, project)
    ada, other = await world.advertiser(), await world.creator()
    for _ in range(3):
        assert (await cleo.get(path)).status_code == 200
    assert (await cleo.call("HEAD", path)).status_code == 200
    assert (await ada.get(path)).status_code == 403
    assert (await other.get(path)).status_code == 404
    assert (await world.nobody.get(path)).status_code == 401
    assert (await world.client.get(project["docLink"] + "0")).status_code == 401
    assert [each["readerId"] for each in await views(cleo, project)] == [cleo.id] * 4


async def test_the_list_comes_in_pages_newest_first(world: World, cleo: Person, project: dict[str, Any]) -> None:
    for _ in range(5):
        ok(await cleo.get(f"/projects/{project['id']}/scenes"))
    whole = await views(cleo, project)
    first = await cleo.get(f"/projects/{project['id']}/views", params={"limit": 3})
    link = first.headers["link"].split(">")[0].removeprefix("</api/v1")
    assert ok(first) + ok(await cleo.get(link)) == whole
    assert [each["at"] for each in whole] == sorted((each["at"] for each in whole), reverse=True)
    refused(await cleo.get(f"/projects/{project['id']}/views", params={"cursor": "x"}), 422, field="cursor")


async def test_views_are_for_the_owner_and_operators(world: World, cleo: Person, project: dict[str, Any]) -> None:
    await world.slot(cleo, project)
    path = f"/projects/{project['id']}/views"
    refused(await (await world.advertiser()).get(path), 403, "not_owner")
    refused(await (await world.creator()).get(path), 404)
    refused(await world.nobody.get(path), 401)


async def test_a_view_that_cannot_be_written_is_none(
    world: World, cleo: Person, project: dict[str, Any], sql: Sql
) -> None:
    """A database that only reads: everything else that reads goes on, a script stays shut."""
    path = f"/projects/{project['id']}"
    scene = ok(await cleo.get(f"{path}/scenes"))[0]
    slot = await world.slot(cleo, project, sceneId=scene["id"])
    bid = await world.accepted(cleo, await world.advertiser(), slot)
    database = await sql.fetchval("SELECT current_database()")
    await sql.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    await sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    try:
        assert (await cleo.get(path)).status_code in (200, 503)  # a connection that was cut is noticed once
        assert (await cleo.get(path)).status_code == 200
        ways = [f"{path}/{way}" for way in ("script", "scenes", "slot-suggestions")]
        ways += [f"/slots/{slot['id']}/excerpt", f"/bids/{bid['id']}/excerpt", f"/bids/{bid['id']}/memo"]
        for way in ways:
            shut = await cleo.get(way)
            assert shut.status_code == 503, way
            assert "coffee" not in shut.text.lower()
    finally:
        await sql.execute("SET default_transaction_read_only = off")
        await sql.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")


async def test_a_bids_history_does_not_tell_who_read_what(world: World, cleo: Person, project: dict[str, Any]) -> None:
    bid = await world.bid(await world.advertiser(), await world.slot(cleo, project))
    ok(await cleo.get(f"/projects/{project['id']}/scenes"))
    for person in (cleo, await world.operator()):
        lines = ok(await person.get(f"/bids/{bid['id']}/events"))
        assert not [each for each in lines if each["action"].endswith("_viewed")]
