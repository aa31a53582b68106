"""Slots: tagging, finding, changing and deleting."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

MISSING = "018f0000-0000-7000-8000-000000000000"
Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def ids(person: Person, **filters: Any) -> list[str]:
    """The ids of the slots that a list shows."""
    return [each["id"] for each in ok(await person.get("/slots", params=filters))]


async def test_a_slot_is_tagged_in_a_project(world: World, sql: Sql) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, ageStart=18)
    body = {
        "projectId": project["id"],
        "sceneRef": " Scene 4 ",
        "description": "A cup on the sill",
        "type": "Hands-on",
        "pricingFloor": 1234.5,
        "modality": "PG/Reservation",
        "visibility": "Private",
        "constraints": ["no logos", "no logos", "warm light"],
        "excludedCategories": ["tobacco"],
        "biddingClosesAt": "2027-01-01T12:00:00+02:00",
    }
    response = await cleo.post("/slots", body)
    slot = ok(response)
    assert response.status_code == 201
    created = slot.pop("createdAt")
    assert slot.pop("updatedAt") == created
    assert slot == {
        **body,
        "id": slot["id"],
        "creatorId": cleo.id,
        "sceneId": None,
        "sceneStatus": None,
        "sceneRef": "Scene 4",
        "status": "Available",
        "constraints": ["no logos", "warm light"],
        "biddingClosesAt": "2027-01-01T10:00:00Z",
        "project": {
            "id": project["id"],
            "title": "Night Train",
            "genre": "Drama",
            "productionWindow": "Q3 2027",
            "demographics": {"ageStart": 18, "ageEnd": None, "gender": "any"},
        },
    }
    event = await sql.fetchrow("SELECT action, status FROM events WHERE subject_id = $1", slot["id"])
    assert event is not None
    assert tuple(event) == ("slot.created", "Available")
    short = {key: body[key] for key in ("projectId", "sceneRef", "pricingFloor", "modality", "visibility")}
    plain = ok(await cleo.post("/slots", short))
    assert (plain["type"], plain["description"], plain["constraints"]) == ("Featured", None, [])
    assert (plain["excludedCategories"], plain["biddingClosesAt"]) == ([], None)


async def test_only_creators_tag_slots_and_only_in_their_projects(world: World) -> None:
    cleo, clay = await world.creator(), await world.creator()
    project = await world.project(cleo)
    body = {
        "projectId": project["id"],
        "sceneRef": "Scene 1",
        "pricingFloor": 1000,
        "modality": "Private Auction",
        "visibility": "Public",
    }
    refused(await world.nobody.post("/slots", body), 401)
    for person in (await world.advertiser(), await world.merchant(), await world.operator()):
        refused(await person.post("/slots", body), 403, "wrong_role")
    foreign = refused(await clay.post("/slots", body), 422, "unknown_project", field="projectId")
    missing = refused(await clay.post("/slots", {**body, "projectId": MISSING}), 422)
    assert {**foreign, "requestId": ""} == {**missing, "requestId": ""}
    assert (await cleo.delete(f"/projects/{project['id']}")).status_code == 204
    refused(await cleo.post("/slots", body), 422, "unknown_project")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"projectId": "x"}, "projectId"),
        ({"sceneRef": None}, "sceneRef"),
        ({"sceneRef": " "}, "sceneRef"),
        ({"sceneRef": "x" * 4001}, "sceneRef"),
        ({"sceneRef": "\x00"}, "sceneRef"),
        ({"description": ""}, "description"),
        ({"type": None}, "type"),
        ({"type": "featured"}, "type"),
        ({"pricingFloor": -0.01}, "pricingFloor"),
        ({"pricingFloor": 1.001}, "pricingFloor"),
        ({"pricingFloor": 1e12}, "pricingFloor"),
        ({"pricingFloor": "1000"}, "pricingFloor"),
        ({"pricingFloor": True}, "pricingFloor"),
        ({"modality": "Auction"}, "modality"),
        ({"visibility": "Secret"}, "visibility"),
        ({"constraints": None}, "constraints"),
        ({"constraints": [""]}, "constraints.0"),
        ({"constraints": ["x" * 101]}, "constraints.0"),
        ({"constraints": [str(n) for n in range(51)]}, "constraints"),
        ({"excludedCategories": "tobacco"}, "excludedCategories"),
        ({"biddingClosesAt": "2027-01-01T12:00:00"}, "biddingClosesAt"),
        ({"biddingClosesAt": 1800000000}, "biddingClosesAt"),
        ({"biddingClosesAt": "0001-01-01T00:00:00Z"}, "biddingClosesAt"),
        ({"status": "Locked"}, "status"),
        ({"creatorId": MISSING}, "creatorId"),
    ],
)
async def test_a_slot_of_a_wrong_shape_is_refused(world: World, change: dict[str, Any], field: str) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    body = {
        "projectId": project["id"],
        "sceneRef": "Scene 1",
        "pricingFloor": 1000,
        "modality": "Private Auction",
        "visibility": "Public",
    }
    refused(await cleo.post("/slots", {**body, **change}), 422, field=field)
    assert await ids(cleo) == []


async def test_who_sees_a_slot(world: World, sql: Sql) -> None:
    cleo, clay, opal = await world.creator(), await world.creator(), await world.operator()
    ada, mia = await world.advertiser(), await world.merchant()
    public = await world.slot(cleo)
    private = await world.slot(cleo, visibility="Private")
    refused(await world.nobody.get("/slots"), 401)
    refused(await world.nobody.get(f"/slots/{public['id']}"), 401)

    async def sees(person: Person) -> set[str]:
        listed = set(await ids(person))
        one_by_one = {
            each["id"] for each in (public, private) if (await person.get(f"/slots/{each['id']}")).status_code == 200
        }
        assert listed == one_by_one
        return listed

    both = {public["id"], private["id"]}
    assert await sees(cleo) == await sees(opal) == both
    assert await sees(clay) == set()
    assert await sees(ada) == await sees(mia) == {public["id"]}
    stranger = refused(await ada.get(f"/slots/{private['id']}"), 404)
    missing = refused(await ada.get(f"/slots/{MISSING}"), 404)
    assert {**stranger, "requestId": ""} == {**missing, "requestId": ""}

    ok(await cleo.put(f"/slots/{private['id']}/invitees", {"userIds": [ada.id]}))
    assert await sees(ada) == both
    assert await sees(mia) == {public["id"]}
    bid = await world.bid(ada, private)
    ok(await cleo.put(f"/slots/{private['id']}/invitees", {"userIds": []}))
    assert await sees(ada) == both  # a bid on it
    ok(await ada.post(f"/bids/{bid['id']}/withdraw", {}))
    assert await sees(ada) == both  # also one that has ended

    await world.bid(mia, public)
    ok(await cleo.patch(f"/slots/{public['id']}", {"visibility": "Private"}))
    assert await sees(mia) == {public["id"]}
    assert await sees(await world.merchant()) == set()

    await sql.execute("UPDATE users SET is_active = false WHERE id = $1", cleo.id)
    assert await sees(ada) == await sees(mia) == set()
    assert await ids(opal) == []


async def catalogue(world: World, cleo: Person) -> dict[str, str]:
    """Three slots of two projects, by name."""
    drama = await world.project(cleo, title="Night Train", genre="Drama")
    comedy = await world.project(cleo, title="Café 100%", genre="ÉTÉ")
    slots = {
        "cup": await world.slot(cleo, drama, sceneRef="A cup", pricingFloor=100, type="Background"),
        "coat": await world.slot(
            cleo, drama, sceneRef="A coat", pricingFloor=200.5, type="Wardrobe", modality="PG/Reservation"
        ),
        "sign": await world.slot(
            cleo,
            comedy,
            sceneRef="A sign_x",
            description="Neon",
            pricingFloor=300,
            type="Signage",
            visibility="Private",
        ),
    }
    return {name: slot["id"] for name, slot in slots.items()} | {"drama": drama["id"], "comedy": comedy["id"]}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "sign coat cup"),
        ({"genre": "dRAMA"}, "coat cup"),
        ({"genre": "été"}, "sign"),
        ({"genre": "Dram"}, ""),
        ({"type": "Wardrobe"}, "coat"),
        ({"type": "Private Auction"}, "sign cup"),
        ({"type": "PG/Reservation"}, "coat"),
        ({"modality": "Private Auction"}, "sign cup"),
        ({"status": "Available"}, "sign coat cup"),
        ({"status": "Locked"}, ""),
        ({"status": "Completed"}, ""),
        ({"visibility": "Private"}, "sign"),
        ({"projectId": "@drama"}, "coat cup"),
        ({"projectId": MISSING}, ""),
        ({"minPrice": "200.5"}, "sign coat"),
        ({"maxPrice": "200.5"}, "coat cup"),
        ({"minPrice": "0", "maxPrice": "150"}, "cup"),
        ({"minPrice": "300", "maxPrice": "100"}, ""),
        ({"q": "COAT"}, "coat"),
        ({"q": "neon"}, "sign"),
        ({"q": "night"}, "coat cup"),
        ({"q": "neo"}, "sign"),
        ({"q": "eon"}, ""),
        ({"q": "train nigh"}, "coat cup"),
        ({"q": "trai night"}, ""),
        ({"q": "train, NIGHT!"}, "coat cup"),
        ({"q": "night neon"}, ""),
        ({"q": "%"}, ""),
        ({"q": "_"}, ""),
        ({"q": "a & ! ( :* '"}, "sign coat cup"),
        ({"q": "\\"}, ""),
        ({"q": "'; DROP TABLE slots --"}, ""),
        ({"sort": "createdAt"}, "cup coat sign"),
        ({"sort": "-createdAt"}, "sign coat cup"),
        ({"sort": "pricingFloor"}, "cup coat sign"),
        ({"sort": "-pricingFloor"}, "sign coat cup"),
        ({"genre": "drama", "type": "Wardrobe", "modality": "PG/Reservation", "status": "Available"}, "coat"),
        ({"genre": "drama", "visibility": "Private"}, ""),
        (
            {"projectId": "@drama", "minPrice": "150", "q": "coat", "visibility": "Public", "sort": "pricingFloor"},
            "coat",
        ),
        ({"projectId": "@comedy", "maxPrice": "150"}, ""),
        (dict.fromkeys(["genre", "type", "modality", "status", "visibility", "projectId"], ""), "sign coat cup"),
        ({"minPrice": "", "maxPrice": "", "q": "", "cursor": ""}, "sign coat cup"),
    ],
)
async def test_filters_and_sorts(world: World, filters: dict[str, str], found: str) -> None:
    cleo = await world.creator()
    known = await catalogue(world, cleo)
    names = {row_id: name for name, row_id in known.items()}
    filters = {key: known[value[1:]] if value.startswith("@") else value for key, value in filters.items()}
    assert " ".join(names[each] for each in await ids(cleo, **filters)) == found
    # What a buyer sees is never more for a filter.
    ada = await world.advertiser()
    assert set(await ids(ada, **filters)) == set(await ids(cleo, **filters)) - {known["sign"]}


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"type": "Film"}, "type"),
        ({"modality": "auction"}, "modality"),
        ({"status": "Sold"}, "status"),
        ({"visibility": "public"}, "visibility"),
        ({"projectId": "1"}, "projectId"),
        ({"minPrice": "-1"}, "minPrice"),
        ({"minPrice": "NaN"}, "minPrice"),
        ({"minPrice": "Infinity"}, "minPrice"),
        ({"minPrice": "1.001"}, "minPrice"),
        ({"maxPrice": "1e400"}, "maxPrice"),
        ({"maxPrice": "cheap"}, "maxPrice"),
        ({"maxPrice": "9" * 5000}, "maxPrice"),
        ({"genre": "x" * 101}, "genre"),
        ({"genre": "\x00"}, "genre"),
        ({"q": "x" * 201}, "q"),
        ({"q": "a\x00b"}, "q"),
        ({"sort": "title"}, "sort"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "\x00"}, "cursor"),
    ],
)
async def test_a_bad_filter_is_refused(world: World, filters: dict[str, str], field: str) -> None:
    ada = await world.advertiser()
    refused(await ada.get("/slots", params=filters), 422, field=field)


async def test_a_patch_changes_what_it_names(world: World, sql: Sql) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo, description="A cup", biddingClosesAt="2099-01-01T00:00:00Z")
    path = f"/slots/{slot['id']}"
    body = {
        "sceneRef": "Scene 9",
        "description": None,
        "type": "Plot",
        "pricingFloor": 0,
        "modality": "PG/Reservation",
        "visibility": "Private",
        "constraints": ["rain"],
        "excludedCategories": [],
        "biddingClosesAt": None,
    }
    changed = ok(await cleo.patch(path, body))
    assert changed == {**slot, **body, "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] > slot["updatedAt"]
    assert ok(await cleo.patch(path, {})) == changed == ok(await cleo.get(path))
    data = json.loads(await sql.fetchval("SELECT data FROM events WHERE action = 'slot.changed'"))
    assert data["fields"] == sorted(
        [
            "scene_ref",
            "description",
            "type",
            "pricing_floor",
            "modality",
            "visibility",
            "constraints",
            "excluded_categories",
            "bidding_closes_at",
        ]
    )


@pytest.mark.parametrize(
    "body",
    [
        {"sceneRef": None},
        {"type": None},
        {"pricingFloor": None},
        {"modality": None},
        {"visibility": None},
        {"constraints": None},
        {"excludedCategories": None},
        {"pricingFloor": -1},
        {"projectId": MISSING},
        {"status": "Completed"},
        {"holderBidId": None},
    ],
)
async def test_a_patch_of_a_wrong_shape_changes_nothing(world: World, body: dict[str, Any]) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo)
    refused(await cleo.patch(f"/slots/{slot['id']}", body), 422)
    assert ok(await cleo.get(f"/slots/{slot['id']}")) == slot


FROZEN = {
    "sceneRef": "Other",
    "type": "Plot",
    "description": "Other",
    "constraints": ["other"],
    "excludedCategories": ["other"],
    "modality": "PG/Reservation",
}
FREE: dict[str, Any] = {"visibility": "Private", "biddingClosesAt": "2099-01-01T00:00:00Z"}


async def test_what_is_frozen_while_a_live_bid_exists(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}"
    bid = await world.bid(ada, slot)
    for field, value in FROZEN.items():
        problem = refused(await cleo.patch(path, {field: value}), 409, "slot_frozen")
        assert problem["currentStatus"] == "Available"
    assert ok(await cleo.get(path)) == {**slot, "updatedAt": ok(await cleo.get(path))["updatedAt"]}
    ok(await cleo.patch(path, {**FREE, "pricingFloor": 2000}))
    assert ok(await ada.get(f"/bids/{bid['id']}"))["status"] == "Pending"  # below the new floor, written before it
    refused(await ada.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 1999}), 409, "below_floor")

    await world.approve(cleo, bid)
    problem = refused(await cleo.patch(path, {"pricingFloor": 500}), 409, "slot_locked")
    assert problem["currentStatus"] == "Locked"
    ok(await cleo.patch(path, {"visibility": "Public"}))

    ok(await ada.post(f"/bids/{bid['id']}/withdraw", {}))
    ok(await cleo.patch(path, {**FROZEN, "pricingFloor": 500}))


async def test_a_sold_slot_never_changes(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    await world.committed(cleo, ada, slot)
    for field, value in {**FROZEN, **FREE, "pricingFloor": 1}.items():
        refused(await cleo.patch(f"/slots/{slot['id']}", {field: value}), 409, "slot_sold")
    refused(await cleo.delete(f"/slots/{slot['id']}"), 409, "slot_held")


async def test_an_overdue_hold_counts_as_ended_from_its_instant(world: World, sql: Sql) -> None:
    cleo, ada, mia = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}"
    bid = await world.approve(cleo, await world.bid(ada, slot))
    ends = datetime.fromisoformat(bid["holdExpiresAt"])

    async def at(moment: datetime) -> None:
        """The clock stands still enough: what is judged is which side of the instant it is on."""
        world.shift = moment - datetime.now(UTC)
        for person in (cleo, ada, mia):
            assert person.user is not None
            person.token = (await world.log_in(person.user["email"])).token

    await at(ends - timedelta(seconds=20))
    assert ok(await mia.get(path))["status"] == "Locked"
    assert await ids(mia, status="Locked") == [slot["id"]]
    assert await ids(mia, status="Available") == []
    refused(await cleo.patch(path, {"pricingFloor": 1}), 409, "slot_locked")
    await at(ends)
    assert ok(await mia.get(path))["status"] == "Available"
    assert await ids(mia, status="Locked") == []
    assert await ids(mia, status="Available") == [slot["id"]]
    assert await sql.fetchval("SELECT status FROM slots") == "Locked"  # reads never write
    ok(await cleo.patch(path, {"pricingFloor": 1, "sceneRef": "Other"}))
    assert (await cleo.delete(path)).status_code == 204
    assert ok(await ada.get(f"/bids/{bid['id']}"))["declineReason"] == "hold_expired"
    assert await sql.fetchval("SELECT status FROM slots") == "Available"


async def test_only_the_owner_changes_and_deletes(world: World) -> None:
    cleo, clay = await world.creator(), await world.creator()
    ada, opal = await world.advertiser(), await world.operator()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}"
    for person, status in ((world.nobody, 401), (clay, 404), (ada, 403), (opal, 403)):
        refused(await person.patch(path, {"sceneRef": "Mine"}), status)
        refused(await person.delete(path), status)
    hidden = await world.slot(cleo, visibility="Private")
    refused(await ada.patch(f"/slots/{hidden['id']}", {"sceneRef": "Mine"}), 404)
    refused(await ada.delete(f"/slots/{hidden['id']}"), 404)
    assert ok(await cleo.get(path)) == slot


async def test_a_stale_version_is_refused_between_403_and_409(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}"
    first = (await cleo.get(path)).headers["etag"]
    second = (await cleo.patch(path, {"sceneRef": "B"}, headers={"If-Match": first})).headers["etag"]
    assert second == (await cleo.get(path)).headers["etag"] != first
    stale = {"headers": {"If-Match": first}}
    refused(await ada.patch(path, {"sceneRef": "X"}, **stale), 403)
    refused(await cleo.patch(path, {"sceneRef": None}, **stale), 422)
    refused(await cleo.patch(path, {"sceneRef": "X"}, **stale), 412, "stale_version")
    refused(await cleo.delete(path, **stale), 412)
    await world.approve(cleo, await world.bid(ada, slot))
    refused(await cleo.patch(path, {"sceneRef": "X"}, **stale), 412)
    refused(await cleo.delete(path, **stale), 412)
    current = {"headers": {"If-Match": (await cleo.get(path)).headers["etag"]}}
    refused(await cleo.patch(path, {"sceneRef": "X"}, **current), 409, "slot_frozen")
    refused(await cleo.delete(path, **current), 409, "slot_held")


async def test_deleting_hides_the_slot_and_ends_its_live_bids(world: World, sql: Sql) -> None:
    cleo, ada, mia = await world.creator(), await world.advertiser(), await world.merchant()
    project = await world.project(cleo)
    slot, stays = await world.slot(cleo, project), await world.slot(cleo, project)
    bids = [(ada, await world.bid(ada, slot)), (mia, await world.bid(mia, slot))]
    kept = await world.bid(ada, stays)
    response = await cleo.delete(f"/slots/{slot['id']}")
    assert (response.status_code, response.content) == (204, b"")
    for person in (cleo, ada, mia, await world.operator()):
        refused(await person.get(f"/slots/{slot['id']}"), 404)
        assert await ids(person) == [stays["id"]]
    for buyer, bid in bids:
        ended = ok(await buyer.get(f"/bids/{bid['id']}"))
        assert (ended["status"], ended["declineReason"]) == ("Declined", "slot_removed")
    assert ok(await ada.get(f"/bids/{kept['id']}"))["status"] == "Pending"
    closed = await sql.fetch("SELECT actor_role, actor_id, data FROM events WHERE action = 'bid.closed'")
    assert [(row["actor_role"], row["actor_id"], json.loads(row["data"])) for row in closed] == [
        ("System", None, {"reason": "slot_removed"})
    ] * 2
    refused(await cleo.delete(f"/slots/{slot['id']}"), 404)
    refused(await mia.post(f"/slots/{slot['id']}/bids", {"amount": 2000, "objective": "x"}), 404)


async def test_the_key_makes_one_slot(world: World) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    body = {
        "projectId": project["id"],
        "sceneRef": "Scene 1",
        "pricingFloor": 1000,
        "modality": "Private Auction",
        "visibility": "Public",
    }
    first = await cleo.post("/slots", body, headers={"Idempotency-Key": "k"})
    again = await cleo.post("/slots", body, headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["etag"] == first.headers["etag"]
    assert len(await ids(cleo)) == 1
