"""Slots made of suggestions: all or none, each once, never twice."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias
from uuid import uuid4

import asyncpg
import pytest

from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.scripts import DINER, OFFICE, Scripts
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Shelf:
    """A creator with a script of suggestions."""

    def __init__(self, cleo: Person, project: dict[str, Any]) -> None:
        self.cleo, self.project = cleo, project
        self.path = f"/projects/{project['id']}/slots/from-suggestions"

    async def all(self) -> list[dict[str, Any]]:
        return ok(await self.cleo.get(f"/projects/{self.project['id']}/slot-suggestions"))  # type: ignore[no-any-return]

    async def slots(self) -> list[dict[str, Any]]:
        return ok(await self.cleo.get("/slots"))  # type: ignore[no-any-return]

    async def take(self, *ids: str, by: Person | None = None, **more: Any) -> Any:
        headers = more.pop("headers", None)
        return await (by or self.cleo).post(self.path, {"suggestionIds": list(ids), **more}, headers=headers)


@pytest.fixture
async def shelf(world: World, scripts: Scripts) -> Shelf:
    cleo = await world.creator()
    return Shelf(cleo, await scripts.project(cleo, budgetTarget=500000))


async def test_slots_say_what_their_suggestions_say(shelf: Shelf, sql: Sql) -> None:
    found = await shelf.all()
    assert {each["slotId"] for each in found} == {None}
    coffee, laptop = (
        next(each for each in found if each["category"]["name"] == name) for name in ("Coffee and Tea", "Laptops")
    )
    made = ok(await shelf.take(laptop["id"], coffee["id"], laptop["id"]))
    assert [each["sceneId"] for each in made] == [laptop["scene"]["id"], coffee["scene"]["id"]], "each once, in order"
    slot = made[1]
    assert slot["sceneRef"] == "1. INT. DINER - NIGHT"
    assert slot["description"] == "Coffee and Tea: coffee, thermos"
    assert (slot["type"], slot["pricingFloor"]) == (coffee["type"], coffee["floorBand"]["low"])
    assert (slot["modality"], slot["visibility"], slot["status"]) == ("Private Auction", "Public", "Available")
    assert (slot["sceneStatus"], slot["constraints"]) == ("current", [])
    taken = {each["id"]: each["slotId"] for each in await shelf.all()}
    assert (taken[coffee["id"]], taken[laptop["id"]]) == (slot["id"], made[0]["id"])
    assert [each for each in taken.values() if each] == [slot["id"], made[0]["id"]]
    rows = await sql.fetch("SELECT subject_id::text FROM events WHERE action = 'slot.created' ORDER BY id")
    assert [row[0] for row in rows] == [each["id"] for each in made]


async def test_how_they_are_sold_can_be_said_for_all(shelf: Shelf) -> None:
    ids = [each["id"] for each in (await shelf.all())[:3]]
    more: dict[str, Any] = {"modality": "PG/Reservation", "visibility": "Private", "pricingFloor": 777}
    for slot in ok(await shelf.take(*ids, **more)):
        assert {key: slot[key] for key in more} == more


async def test_all_or_none(shelf: Shelf) -> None:
    first, second, *_ = [each["id"] for each in await shelf.all()]
    problem = refused(await shelf.take(first, str(uuid4())), 422, "unknown_suggestion", "suggestionIds.1")
    assert [each["field"] for each in problem["errors"]] == ["suggestionIds.1"]
    ok(await shelf.take(first))
    refused(await shelf.take(second, first), 409, "suggestion_taken")
    assert len(await shelf.slots()) == 1
    bodies: list[dict[str, Any]] = [{"suggestionIds": []}, {"suggestionIds": [first], "status": "Locked"}, {}]
    for wrong in bodies:
        refused(await shelf.cleo.post(shelf.path, wrong), 422, "invalid")
    refused(await shelf.take(first, "nonsense"), 422, "invalid", "suggestionIds.1")
    refused(await shelf.take(second, pricingFloor=-1), 422, "invalid", "pricingFloor")


async def test_a_slot_that_is_deleted_leaves_its_suggestion_free(shelf: Shelf) -> None:
    first = (await shelf.all())[0]["id"]
    [slot] = ok(await shelf.take(first))
    ok(await shelf.cleo.delete(f"/slots/{slot['id']}"))
    assert (await shelf.all())[0]["slotId"] is None
    ok(await shelf.take(first))


async def test_suggestions_of_a_former_draft_are_none(shelf: Shelf, scripts: Scripts) -> None:
    first = (await shelf.all())[0]["id"]
    await scripts.draft(shelf.cleo, shelf.project, DINER + OFFICE, read=False)
    refused(await shelf.take(first), 409, "draft_not_ready")
    await scripts.read()
    refused(await shelf.take(first), 422, "unknown_suggestion")
    await scripts.draft(shelf.cleo, shelf.project, b"A letter, no script.")
    refused(await shelf.take(first), 409, "draft_not_ready")
    assert await shelf.slots() == []


async def test_the_same_key_makes_them_once(shelf: Shelf) -> None:
    first = (await shelf.all())[0]["id"]
    key = {"Idempotency-Key": "take-1"}
    answers = await asyncio.gather(*(shelf.take(first, headers=key) for _ in range(5)))
    assert {each.status_code for each in answers} == {201}
    assert len({each.content for each in answers}) == 1
    assert len(await shelf.slots()) == 1


async def test_of_those_who_take_the_same_one_is_first(shelf: Shelf) -> None:
    ids = [each["id"] for each in await shelf.all()]
    answers = await asyncio.gather(*(shelf.take(*ids[start:], *ids[:start]) for start in range(5)))
    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409, 409]
    assert len(await shelf.slots()) == len(ids)


async def test_only_the_owner_takes(shelf: Shelf, world: World) -> None:
    first = (await shelf.all())[0]["id"]
    await world.slot(shelf.cleo, shelf.project)
    for person, status in (
        (world.nobody, 401),
        (await world.creator(), 404),
        (await world.advertiser(), 403),
        (await world.operator(), 403),
    ):
        refused(await shelf.take(first, by=person), status)
    assert len(await shelf.slots()) == 1
