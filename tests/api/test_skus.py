"""SKUs, one by one."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from tests.factories.refusals import refused
from tests.factories.world import World, ok

MISSING = "018f0000-0000-7000-8000-000000000000"
FULL = {
    "title": "Thermos",
    "price": 39.9,
    "margin": 40.25,
    "tags": ["steel", "travel"],
    "description": "Keeps warm",
    "imageUrl": "https://example.com/t.png",
    "externalId": "T-1",
}


async def test_a_merchant_adds_a_sku(world: World, sql: asyncpg.Connection[Any]) -> None:
    mia = await world.merchant()
    response = await mia.post("/skus", FULL)
    sku = ok(response)
    assert response.status_code == 201
    expected = {**FULL, "id": sku["id"], "merchantId": mia.id, "createdAt": sku["createdAt"]}
    assert sku == {**expected, "updatedAt": sku["createdAt"]}
    read = await mia.get(f"/skus/{sku['id']}")
    assert (read.json(), read.headers["etag"]) == (sku, response.headers["etag"])
    plain = ok(await mia.post("/skus", {"title": " Cup ", "price": 0, "margin": 100, "tags": ["a", "a"]}))
    assert (plain["title"], plain["tags"], plain["description"], plain["externalId"]) == ("Cup", ["a"], None, None)
    assert ok(await mia.get("/skus")) == [plain, sku]
    assert await sql.fetchval("SELECT action FROM events WHERE subject_id = $1", sku["id"]) == "sku.created"


async def test_skus_are_their_merchants_own(world: World) -> None:
    mia, max_ = await world.merchant(), await world.merchant()
    sku = await world.sku(mia)
    path = f"/skus/{sku['id']}"
    refused(await world.nobody.get("/skus"), 401)
    refused(await world.nobody.post("/skus", FULL), 401)
    for person in (await world.creator(), await world.advertiser(), await world.operator()):
        refused(await person.get("/skus"), 403, "wrong_role")
        refused(await person.post("/skus", FULL), 403, "wrong_role")
        for answer in (await person.get(path), await person.patch(path, {"title": "X"}), await person.delete(path)):
            refused(answer, 404)
    refused(await world.nobody.patch(path, {"title": "X"}), 401)
    refused(await world.nobody.delete(path), 401)
    stranger = refused(await max_.get(path), 404)
    missing = refused(await max_.get(f"/skus/{MISSING}"), 404)
    assert {**stranger, "requestId": ""} == {**missing, "requestId": ""}
    refused(await max_.patch(path, {"title": "X"}), 404)
    refused(await max_.delete(path), 404)
    assert ok(await max_.get("/skus")) == []
    assert ok(await mia.get(path)) == sku


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": 7}, "title"),
        ({"price": -0.01}, "price"),
        ({"price": 1.001}, "price"),
        ({"price": "1"}, "price"),
        ({"price": None}, "price"),
        ({"price": True}, "price"),
        ({"price": 1e12}, "price"),
        ({"margin": 100.01}, "margin"),
        ({"margin": -1}, "margin"),
        ({"margin": 1.234}, "margin"),
        ({"tags": None}, "tags"),
        ({"tags": ["x" * 101]}, "tags.0"),
        ({"tags": [str(n) for n in range(51)]}, "tags"),
        ({"description": "x" * 4001}, "description"),
        ({"imageUrl": "ftp://example.com"}, "imageUrl"),
        ({"imageUrl": "javascript:alert(1)"}, "imageUrl"),
        ({"imageUrl": "https://a b"}, "imageUrl"),
        ({"externalId": ""}, "externalId"),
        ({"externalId": "\x00"}, "externalId"),
        ({"merchantId": MISSING}, "merchantId"),
    ],
)
async def test_a_wrong_shape_is_refused(world: World, change: dict[str, Any], field: str) -> None:
    mia = await world.merchant()
    refused(await mia.post("/skus", {**FULL, **change}), 422, field=field)
    assert ok(await mia.get("/skus")) == []
    sku = ok(await mia.post("/skus", FULL))
    refused(await mia.patch(f"/skus/{sku['id']}", change), 422, field=field)
    assert ok(await mia.get(f"/skus/{sku['id']}")) == sku


async def test_a_patch_changes_what_it_names_and_clears_with_null(world: World, sql: asyncpg.Connection[Any]) -> None:
    mia = await world.merchant()
    sku = ok(await mia.post("/skus", FULL))
    path = f"/skus/{sku['id']}"
    body = {"title": "Flask", "price": 10, "tags": [], "description": None, "imageUrl": None, "externalId": None}
    changed = ok(await mia.patch(path, body))
    assert changed == {**sku, **body, "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] > sku["updatedAt"]
    assert ok(await mia.patch(path, {})) == changed
    data = json.loads(await sql.fetchval("SELECT data FROM events WHERE action = 'sku.changed'"))
    assert data == {"fields": ["description", "external_id", "image_url", "price", "tags", "title"]}


async def test_an_external_id_is_unique_among_a_merchants_present_skus(world: World) -> None:
    mia, max_ = await world.merchant(), await world.merchant()
    first = ok(await mia.post("/skus", FULL))
    refused(await mia.post("/skus", FULL), 409, "external_id_taken")
    ok(await max_.post("/skus", FULL))
    other = ok(await mia.post("/skus", {**FULL, "externalId": "t-1"}))
    refused(await mia.patch(f"/skus/{other['id']}", {"externalId": "T-1"}), 409, "external_id_taken")
    for _ in range(2):
        ok(await mia.post("/skus", {**FULL, "externalId": None}))
    assert (await mia.delete(f"/skus/{first['id']}")).status_code == 204
    ok(await mia.patch(f"/skus/{other['id']}", {"externalId": "T-1"}))


async def test_a_removed_sku_leaves_the_catalogue_and_stays_in_its_bids(world: World) -> None:
    cleo, mia = await world.creator(), await world.merchant()
    sku = await world.sku(mia)
    bid = await world.bid(mia, await world.slot(cleo), skuIds=[sku["id"]])
    response = await mia.delete(f"/skus/{sku['id']}")
    assert (response.status_code, response.content) == (204, b"")
    refused(await mia.get(f"/skus/{sku['id']}"), 404)
    refused(await mia.delete(f"/skus/{sku['id']}"), 404)
    assert ok(await mia.get("/skus")) == []
    assert [each["id"] for each in ok(await cleo.get(f"/bids/{bid['id']}"))["skus"]] == [sku["id"]]


async def test_a_stale_version_is_refused_before_409(world: World) -> None:
    mia, max_ = await world.merchant(), await world.merchant()
    await world.sku(mia, externalId="taken")
    created = await mia.post("/skus", FULL)
    path = f"/skus/{created.json()['id']}"
    first = created.headers["etag"]
    second = (await mia.patch(path, {"price": 1}, headers={"If-Match": first})).headers["etag"]
    assert second == (await mia.get(path)).headers["etag"] != first
    stale = {"headers": {"If-Match": first}}
    refused(await max_.patch(path, {"price": 2}, **stale), 404)
    refused(await mia.patch(path, {"price": "x"}, **stale), 422)
    refused(await mia.patch(path, {"externalId": "taken"}, **stale), 412, "stale_version")
    refused(await mia.delete(path, **stale), 412)
    refused(await mia.patch(path, {"externalId": "taken"}, headers={"If-Match": second}), 409)
    assert (await mia.delete(path, headers={"If-Match": second})).status_code == 204
