"""Keyset pages of the catalogue's lists, what each read answers with, and how many statements it takes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from backend.core import clock
from backend.schemas.projects import ProjectOut
from backend.schemas.skus import SkuOut
from backend.schemas.slots import InviteesOut, SlotOut
from tests.factories.people import API, Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

SORTS = ["createdAt", "-createdAt", "pricingFloor", "-pricingFloor"]


async def walk(person: Person, path: str, **params: Any) -> list[Any]:
    """Every row of a list, page by page, by its Link header."""
    rows: list[Any] = []
    response = await person.get(path, params=params)
    while True:
        page = ok(response)
        assert len(page) <= params["limit"]
        rows += page
        if "link" not in response.headers:
            return rows
        assert len(page) == params["limit"]
        link, _, relation = response.headers["link"].partition("; ")
        assert relation == 'rel="next"'
        response = await person.get(link.strip("<>").removeprefix(API))


async def many_slots(world: World, cleo: Person, count: int = 23) -> None:
    """Slots of which all share their time and many their floor."""
    project = await world.project(cleo)
    moment = clock.now()
    with clock.replaced(lambda: moment):
        for number in range(count):
            await world.slot(cleo, project, pricingFloor=100 * (number % 3), sceneRef=f"Scene {number}")


@pytest.mark.parametrize("sort", SORTS)
async def test_every_row_comes_once_whatever_the_page(world: World, sort: str) -> None:
    cleo = await world.creator()
    await many_slots(world, cleo)
    whole = [each["id"] for each in ok(await cleo.get("/slots", params={"sort": sort}))]
    assert len(set(whole)) == 23
    for limit in (1, 7, 22, 23, 24):
        assert [each["id"] for each in await walk(cleo, "/slots", sort=sort, limit=limit)] == whole
    filtered = await walk(cleo, "/slots", sort=sort, limit=2, minPrice=100, q="Scene")
    assert [each["id"] for each in filtered] == [
        each["id"] for each in ok(await cleo.get("/slots", params={"sort": sort})) if each["pricingFloor"] >= 100
    ]


async def test_rows_that_come_and_go_shift_no_page(world: World) -> None:
    mia = await world.merchant()
    skus = [await world.sku(mia, title=f"Item {number}") for number in range(6)]
    first = await mia.get("/skus", params={"limit": 3})
    await world.sku(mia, title="Newer")
    assert (await mia.delete(f"/skus/{skus[3]['id']}")).status_code == 204  # the cursor's own row
    rest = ok(await mia.get(first.headers["link"].split(">")[0][1:].removeprefix(API)))
    assert [each["title"] for each in rest] == ["Item 2", "Item 1", "Item 0"]


async def test_projects_and_skus_page_too(world: World) -> None:
    cleo, mia = await world.creator(), await world.merchant()
    for _ in range(5):
        await world.project(cleo)
        await world.sku(mia)
    for person, path in ((cleo, "/projects"), (mia, "/skus")):
        paged = [each["id"] for each in await walk(person, path, limit=2)]
        assert paged == [each["id"] for each in ok(await person.get(path))]
        assert len(paged) == 5


def cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


ID = "018f0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "forged",
    [
        "x",
        "é",
        "AAAA",
        "x" * 501,
        cursor(),
        cursor("slots -createdAt", "2026-01-01T00:00:00Z"),
        cursor("slots -createdAt", "now", ID),
        cursor("slots -createdAt", "2026-01-01T00:00:00Z", "id"),
        cursor("slots -createdAt", 1, ID),
        cursor("slots -createdAt", "2026-01-01T00:00:00", ID),
        cursor("slots -createdAt", "0001-01-01T00:00:00+14:00", ID),
        cursor("skus -createdAt", "2026-01-01T00:00:00Z", ID),
        cursor("slots createdAt", "2026-01-01T00:00:00Z", ID),
    ],
)
async def test_a_cursor_that_this_list_did_not_give_is_refused(world: World, forged: str) -> None:
    ada = await world.advertiser()
    refused(await ada.get("/slots", params={"cursor": forged}), 422, field="cursor")


@pytest.mark.parametrize("key", ["NaN", "Infinity", "-Infinity", "1E+999999", "1E-999999", "9" * 400])
async def test_a_forged_floor_is_refused(world: World, key: str) -> None:
    ada = await world.advertiser()
    forged = {"sort": "pricingFloor", "cursor": cursor("slots pricingFloor", key, ID)}
    refused(await ada.get("/slots", params=forged), 422, field="cursor")


async def test_a_cursor_of_another_list_or_sort_is_refused(world: World) -> None:
    cleo, mia = await world.creator(), await world.merchant()
    await many_slots(world, cleo, 2)
    for _ in range(2):
        await world.sku(mia)

    async def cursor_of(person: Person, path: str, **params: Any) -> str:
        link = (await person.get(path, params={**params, "limit": 1})).headers["link"]
        return str(link.split("cursor=")[1].split(">")[0].split("&")[0]).replace("%3D", "=")

    newest = await cursor_of(cleo, "/slots")
    ok(await cleo.get("/slots", params={"cursor": newest}))
    refused(await cleo.get("/slots", params={"cursor": newest, "sort": "createdAt"}), 422, field="cursor")
    refused(await cleo.get("/slots", params={"cursor": newest, "sort": "pricingFloor"}), 422)
    refused(await cleo.get("/projects", params={"cursor": newest}), 422, field="cursor")
    refused(await mia.get("/slots", params={"cursor": await cursor_of(mia, "/skus")}), 422, field="cursor")


@pytest.mark.parametrize("path", ["/projects", "/slots", "/skus"])
@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "all"])
async def test_a_limit_outside_its_bounds_is_refused(world: World, path: str, limit: str) -> None:
    mia = await world.merchant()
    refused(await mia.get(path, params={"limit": limit}), 422, field="limit")


async def full_world(world: World) -> tuple[dict[str, Person], dict[str, tuple[str, Any]]]:
    """People, and every read of the catalogue with the schema of its answer."""
    cleo, mia = await world.creator(), await world.merchant()
    project = await world.project(cleo, logline="A cup.", ageStart=18, ageEnd=49)
    slot = await world.slot(cleo, project, constraints=["rain"], biddingClosesAt="2099-01-01T00:00:00Z")
    await world.slot(cleo, project, modality="PG/Reservation")
    sku = await world.sku(mia, tags=["steel"], externalId="T-1")
    await world.sku(mia)
    ok(await cleo.put(f"/slots/{slot['id']}/invitees", {"userIds": [mia.id]}))
    await world.approve(cleo, await world.bid(mia, slot, skuIds=[sku["id"]]))
    return {"cleo": cleo, "mia": mia, "ada": await world.advertiser(), "opal": await world.operator()}, {
        "/projects": ("cleo mia ada opal", list[ProjectOut]),
        f"/projects/{project['id']}": ("cleo mia ada opal", ProjectOut),
        "/slots": ("cleo mia ada opal", list[SlotOut]),
        f"/slots/{slot['id']}": ("cleo mia ada opal", SlotOut),
        f"/slots/{slot['id']}/invitees": ("cleo", InviteesOut),
        "/skus": ("mia", list[SkuOut]),
        f"/skus/{sku['id']}": ("mia", SkuOut),
    }


async def test_every_read_answers_with_its_schema(world: World, statements: list[str]) -> None:
    people, reads = await full_world(world)
    for path, (names, schema) in reads.items():
        for name in names.split():
            statements.clear()
            response = await people[name].get(path)
            assert ok(response), path
            # Exactly these fields, each of its type; JSON's own forms of ids, times and money.
            TypeAdapter(schema).validate_json(response.content, strict=True)
            assert len(statements) <= 3, (path, name)


async def test_a_list_takes_as_many_statements_for_many_rows_as_for_one(world: World, statements: list[str]) -> None:
    people, reads = await full_world(world)
    cleo, mia = people["cleo"], people["mia"]
    lists = [(people[name], path) for path, (names, _) in reads.items() for name in names.split()]

    async def budget() -> list[int]:
        counts = []
        for person, path in lists:
            statements.clear()
            ok(await person.get(path))
            counts.append(len(statements))
        return counts

    before = await budget()
    for _ in range(8):
        project = await world.project(cleo)
        await world.slot(cleo, project)
        await world.sku(mia)
    assert await budget() == before


async def test_each_change_has_a_bounded_number_of_statements(world: World, statements: list[str]) -> None:
    cleo, ada, mia = await world.creator(), await world.advertiser(), await world.merchant()
    project = await world.project(cleo)
    slot, wanted, sku = await world.slot(cleo, project), await world.slot(cleo, project), await world.sku(mia)
    etag = {"headers": {"If-Match": "*"}}
    changes: list[tuple[int, Person, str, str, Any]] = [
        (7, cleo, "PATCH", f"/projects/{project['id']}", {"title": "B", "genre": "Comedy"}),
        (7, cleo, "PATCH", f"/slots/{slot['id']}", {"sceneRef": "B"}),
        (7, cleo, "PUT", f"/slots/{slot['id']}/invitees", {"userIds": [ada.id, mia.id]}),
        (7, mia, "PATCH", f"/skus/{sku['id']}", {"title": "B"}),
        (7, mia, "POST", "/skus", {"title": "B", "price": 1, "margin": 1}),
        (7, mia, "DELETE", f"/skus/{sku['id']}", None),
        (6, ada, "POST", f"/slots/{wanted['id']}/bids", {"amount": 5000, "objective": "Awareness"}),
        (9, cleo, "DELETE", f"/slots/{slot['id']}", None),
    ]
    for most, person, method, path, body in changes:
        statements.clear()
        ok(await person.call(method, path, json=body, **etag))
        assert len(statements) <= most, (method, path, statements)
