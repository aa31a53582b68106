"""What a script suggests, and what a new draft did to its scenes."""

from __future__ import annotations

from backend.core.database import Database
from backend.integrations.storage import Storage
from backend.jobs.scripts import read_due
from backend.schemas.drafts import DraftOut, SceneDiff
from backend.schemas.suggestions import SuggestionOut
from tests.factories.world import World, ok

FIRST = b"""INT. DINER - NIGHT

MARA pours coffee from a dented steel thermos.

MARA
I never drink my coffee cold.

EXT. ROAD - DAY

A taxi passes. Nobody waves.

INT. OFFICE - DAY

A desk, a lamp, a stapler. TOM types on a laptop. TOM closes the laptop.
"""
SECOND = b"""INT. DINER - NIGHT

MARA pours coffee from a dented steel thermos.

MARA
I never drink my coffee cold.

INT. OFFICE - DAY

A desk, a lamp, a stapler. TOM types on a laptop. TOM throws the laptop.

EXT. ROOF - DAWN

Pigeons.
"""


async def test_suggestions_come_with_their_words_signals_and_band(
    world: World, database: Database, storage: Storage
) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, FIRST, budgetTarget=500000)
    path = f"/projects/{project['id']}/slot-suggestions"
    assert ok(await cleo.get(path)) == []
    await read_due(database, storage)
    found = ok(await cleo.get(path))
    for suggestion in found:
        SuggestionOut.model_validate(suggestion, strict=False)
        for words in suggestion["evidence"]:
            assert suggestion["excerpt"][words["start"] : words["end"]] == words["text"]
        assert suggestion["floorBand"]["high"] == 2 * suggestion["floorBand"]["low"]
    by_category = {(each["scene"]["heading"], each["category"]["name"]): each for each in found}
    coffee = by_category[("INT. DINER - NIGHT", "Coffee and Tea")]
    assert (coffee["type"], coffee["category"]["iabId"]) == ("Hands-on", "1133")
    assert coffee["signals"]["touchedBy"] == ["MARA"]
    assert coffee["signals"]["inDialogue"] is True
    laptop = by_category[("INT. OFFICE - DAY", "Laptops")]
    assert laptop["signals"]["mentions"] == 2
    assert laptop["floorBand"]["low"] > by_category[("INT. OFFICE - DAY", "Office Products")]["floorBand"]["low"]
    assert ok(await cleo.get(path)) == found, "the same draft suggests the same, ids included"


async def test_a_new_draft_is_compared_scene_by_scene(world: World, database: Database, storage: Storage) -> None:
    cleo = await world.creator()
    project = await world.project(cleo, FIRST)
    diff = f"/projects/{project['id']}/drafts/2/diff"
    assert (await cleo.get(diff)).status_code == 404
    ok(await cleo.put(f"/projects/{project['id']}/script", files={"file": ("second.fountain", SECOND)}))
    early = await cleo.get(diff)
    assert (early.status_code, early.json()["code"]) == (409, "draft_not_ready")
    await read_due(database, storage)
    drafts = ok(await cleo.get(f"/projects/{project['id']}/drafts"))
    assert [(each["number"], each["sceneCount"], each["scriptStatus"]) for each in drafts] == [
        (1, 3, "ready"),
        (2, 3, "ready"),
    ]
    for draft in drafts:
        DraftOut.model_validate(draft)
    lines = ok(await cleo.get(diff))
    for line in lines:
        SceneDiff.model_validate(line)
    told = [(line["change"], (line["after"] or line["before"])["heading"]) for line in lines]
    assert told == [
        ("kept", "INT. DINER - NIGHT"),
        ("omitted", "EXT. ROAD - DAY"),
        ("changed", "INT. OFFICE - DAY"),
        ("new", "EXT. ROOF - DAWN"),
    ]
    assert (await cleo.get(f"/projects/{project['id']}/drafts/1/diff")).status_code == 404


async def test_only_the_owner_and_operators_read_them(world: World, database: Database, storage: Storage) -> None:
    cleo, ada, other, op = (
        await world.creator(),
        await world.advertiser(),
        await world.creator(),
        await world.operator(),
    )
    project = await world.project(cleo, FIRST)
    await world.slot(cleo, project)
    await read_due(database, storage)
    for path in ("slot-suggestions", "drafts"):
        where = f"/projects/{project['id']}/{path}"
        assert (await world.nobody.get(where)).status_code == 401
        assert (await ada.get(where)).status_code == 403
        assert (await other.get(where)).status_code == 404
        assert len(ok(await op.get(where))) >= 1
