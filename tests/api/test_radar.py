"""What a new draft means for slots and deals: they follow their scene, or are flagged."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.core.database import Database
from backend.services import drafts
from backend.services.scenes import Claimed
from tests.factories.dumps import dump
from tests.factories.mailbox import Mailbox
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.scripts import DINER, FIRST, OFFICE, ROAD, Scripts
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ROOF = b"""EXT. ROOF - DAWN

Pigeons. A watch ticks on the parapet.

"""
BUSY_OFFICE = OFFICE.replace(b"closes the laptop", b"throws the laptop through the window")


class Set:
    """A creator's script with a slot in each of its three scenes."""

    def __init__(self, world: World, scripts: Scripts) -> None:
        self.world, self.scripts = world, scripts
        self.cleo: Person
        self.ada: Person
        self.project: dict[str, Any]
        self.scenes: list[str]
        self.diner: dict[str, Any]
        self.road: dict[str, Any]
        self.office: dict[str, Any]

    async def build(self) -> Set:
        self.cleo, self.ada = await self.world.creator(), await self.world.advertiser()
        self.project = await self.scripts.project(self.cleo, FIRST)
        self.scenes = [each["id"] for each in await self.scripts.scenes(self.cleo, self.project)]
        self.diner, self.road, self.office = [
            await self.world.slot(self.cleo, self.project, sceneId=scene) for scene in self.scenes
        ]
        return self

    async def draft(self, *scenes: bytes, read: bool = True) -> list[str]:
        """A new draft of these scenes. Answers their ids."""
        await self.scripts.draft(self.cleo, self.project, b"".join(scenes), read=read)
        return [each["id"] for each in await self.scripts.scenes(self.cleo, self.project)]

    async def where(self, slot: dict[str, Any], by: Person | None = None) -> tuple[str, str]:
        """The scene of a slot, and what became of it."""
        seen = ok(await (by or self.cleo).get(f"/slots/{slot['id']}"))
        return seen["sceneId"], seen["sceneStatus"]

    async def bid(self, bid: dict[str, Any], by: Person | None = None) -> dict[str, Any]:
        return ok(await (by or self.ada).get(f"/bids/{bid['id']}"))  # type: ignore[no-any-return]

    async def history(self, bid: dict[str, Any], by: Person) -> list[tuple[str, dict[str, Any]]]:
        """What the deal's history says of scenes."""
        found = ok(await by.get(f"/bids/{bid['id']}/events"))
        return [(each["action"], each["data"]) for each in found if "scene" in each["action"]]


@pytest.fixture
async def stage(world: World, scripts: Scripts) -> Set:
    return await Set(world, scripts).build()


async def test_slots_follow_scenes_that_are_kept_or_moved_and_are_flagged_when_theirs_is_another(
    stage: Set, sql: Sql
) -> None:
    office, diner, roof = await stage.draft(BUSY_OFFICE, DINER, ROOF)
    assert await stage.where(stage.diner) == (diner, "current")
    assert await stage.where(stage.road) == (stage.scenes[1], "omitted")
    assert await stage.where(stage.office) == (stage.scenes[2], "changed"), "what was offered stays named"
    assert office != stage.scenes[2]
    for status, slot in (("current", stage.diner), ("omitted", stage.road), ("changed", stage.office)):
        for person in (stage.cleo, stage.ada):
            listed = ok(await person.get("/slots", params={"sceneStatus": status}))
            assert [each["id"] for each in listed] == [slot["id"]]
    rows = await sql.fetch(
        "SELECT action, subject_id::text, actor_role, data::json->>'change' AS change, data::json->>'draft' AS draft"
        " FROM events WHERE action LIKE 'slot.scene%' ORDER BY 2"
    )
    expected = [
        ("slot.scene_followed", stage.diner["id"], "System", "kept", "2"),
        ("slot.scene_flagged", stage.road["id"], "System", "omitted", "2"),
        ("slot.scene_flagged", stage.office["id"], "System", "changed", "2"),
    ]
    assert sorted(map(tuple, rows), key=lambda row: row[1]) == sorted(expected, key=lambda row: row[1])
    # The creator takes the scene as it is now: nobody has bid.
    ok(await stage.cleo.patch(f"/slots/{stage.office['id']}", {"sceneId": office}))
    assert await stage.where(stage.office) == (office, "current")
    ok(await stage.cleo.patch(f"/slots/{stage.road['id']}", {"sceneId": roof}))
    assert await stage.where(stage.road) == (roof, "current")


async def test_a_scene_that_moved_is_followed(stage: Set, sql: Sql) -> None:
    road, office, diner = await stage.draft(ROAD, OFFICE, DINER)
    slots = (stage.diner, stage.road, stage.office)
    assert [await stage.where(each) for each in slots] == [(each, "current") for each in (diner, road, office)]
    moved = (
        "SELECT subject_id::text FROM events WHERE action = 'slot.scene_followed' AND data::json->>'change' = 'moved'"
    )
    assert await sql.fetchval(moved) == stage.diner["id"]


async def test_a_deal_on_a_flagged_scene_says_so_to_both_sides_and_goes_on(
    stage: Set, world: World, mailbox: Mailbox
) -> None:
    merchant = await world.merchant()
    live = await world.bid(stage.ada, stage.road)
    commitment = await world.committed(stage.cleo, merchant, stage.office)
    kept = await world.bid(stage.ada, stage.diner)
    committed = {"id": commitment["bidId"]}
    before = {each["id"]: await stage.bid(each, stage.cleo) for each in (live, committed, kept)}
    await mailbox.delivered()
    told = len(await mailbox.delivered())

    diner, *_ = await stage.draft(DINER, BUSY_OFFICE)
    for bid, buyer, status in ((live, stage.ada, "omitted"), (committed, merchant, "changed")):
        for person in (stage.cleo, buyer):
            seen = await stage.bid(bid, person)
            assert seen["sceneStatus"] == status
            assert seen["sceneId"] == before[bid["id"]]["sceneId"]
            assert await stage.history(bid, person) == [("bid.scene_flagged", {"draft": 2, "sceneStatus": status})]
            assert (await stage.bid(bid, stage.cleo))["allowedActions"] == before[bid["id"]]["allowedActions"]
        assert (await stage.bid(bid))["updatedAt"] > before[bid["id"]]["updatedAt"] if buyer is stage.ada else True
    after = await stage.bid(kept)
    assert (after["sceneId"], after["sceneStatus"], after["updatedAt"]) == (diner, "current", kept["updatedAt"])
    assert await stage.history(kept, stage.ada) == []

    mails = (await mailbox.delivered())[told:]
    assert sorted((str(mail["To"]), str(mail["Subject"]).split()[6]) for mail in mails) == sorted(
        (f"{person.user['name']} <{person.user['email']}>", verb)  # type: ignore[index]
        for verb, people in (("cuts", (stage.cleo, stage.ada)), ("changes", (stage.cleo, merchant)))
        for person in people
    )
    assert not any("ROAD" in Mailbox.text(mail) or "laptop" in Mailbox.text(mail) for mail in mails)


async def test_the_creator_offers_another_scene_and_after_accepted_only_an_end_frees_the_slot(
    stage: Set, world: World
) -> None:
    open_bid = await world.bid(stage.ada, stage.road)
    accepted = await world.accepted(stage.cleo, stage.ada, stage.office)
    [diner, roof] = await stage.draft(DINER, ROOF)
    offered = ok(await stage.cleo.post(f"/bids/{open_bid['id']}/terms", {"baseVersion": 1, "sceneId": roof}))
    assert (offered["sceneId"], offered["sceneStatus"]) == (roof, "current")
    assert await stage.where(stage.road) == (stage.scenes[1], "omitted"), "the slot itself is still for what was cut"
    terms = {"baseVersion": 1, "sceneId": diner}
    refused(await stage.cleo.post(f"/bids/{accepted['id']}/terms", terms), 409, "wrong_state")
    refused(await stage.cleo.patch(f"/slots/{stage.office['id']}", {"sceneId": diner}), 409, "slot_frozen")
    ok(await stage.cleo.post(f"/bids/{accepted['id']}/decline", {"reason": "timing"}))
    ok(await stage.cleo.patch(f"/slots/{stage.office['id']}", {"sceneId": diner}))
    for person in (stage.cleo, stage.ada):
        await world.approve(person, open_bid)
    ok(await stage.ada.post(f"/bids/{open_bid['id']}/commit"))
    assert await stage.where(stage.road) == (roof, "current"), "sold there"


async def test_terms_that_offer_a_scene_follow_it_too(stage: Set, world: World) -> None:
    plain = await world.slot(stage.cleo, stage.project)
    bid = await world.bid(stage.ada, plain)
    ok(await stage.cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "sceneId": stage.scenes[2]}))
    [office] = await stage.draft(OFFICE)
    now = await stage.bid(bid)
    assert (now["sceneId"], now["sceneStatus"]) == (office, "current")
    versions = ok(await stage.ada.get(f"/bids/{bid['id']}/terms"))
    assert [each["sceneId"] for each in versions] == [None, stage.scenes[2]], "written about the draft of that day"
    await stage.draft(ROOF)
    assert (await stage.bid(bid))["sceneStatus"] == "omitted"


async def test_what_has_ended_keeps_the_scene_it_was_about(stage: Set, world: World, sql: Sql) -> None:
    withdrawn = await world.bid(stage.ada, stage.road)
    ok(await stage.ada.post(f"/bids/{withdrawn['id']}/withdraw"))
    overdue = await world.bid(stage.ada, stage.road)
    done = await world.committed(stage.cleo, stage.ada, stage.office)
    ok(await stage.cleo.post(f"/commitments/{done['id']}/deliver", {"note": "There."}))
    ok(await stage.ada.post(f"/commitments/{done['id']}/confirm"))
    ok(await stage.cleo.delete(f"/slots/{stage.diner['id']}"))
    world.advance(days=40)
    cleo = await world.log_in(stage.cleo.user["email"])  # type: ignore[index]
    stage.cleo, stage.ada = cleo, await world.log_in(stage.ada.user["email"])  # type: ignore[index]
    await stage.draft(ROOF)
    assert await stage.where(stage.road) == (stage.scenes[1], "omitted")
    assert await stage.where(stage.office) == (stage.scenes[2], "current"), "it is in the can"
    for bid in (withdrawn, overdue, {"id": done["bidId"]}):
        assert (await stage.bid(bid))["sceneStatus"] == "current"
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action LIKE 'bid.scene%'") == 0
    assert await sql.fetchval("SELECT scene_status FROM slots WHERE removed_at IS NOT NULL") == "current"


async def test_a_scene_that_comes_back_clears_the_flag(stage: Set, world: World) -> None:
    bid = await world.bid(stage.ada, stage.road)
    await stage.draft(DINER)
    await stage.draft(b"No scenes in here.")
    assert await stage.where(stage.road) == (stage.scenes[1], "omitted"), "a draft that cannot be read says nothing"
    [road] = await stage.draft(ROAD)
    assert await stage.where(stage.road) == (road, "current")
    now = await stage.bid(bid)
    assert (now["sceneId"], now["sceneStatus"]) == (road, "current")
    assert [action for action, _ in await stage.history(bid, stage.ada)] == ["bid.scene_flagged", "bid.scene_restored"]


async def test_the_job_that_runs_twice_changes_nothing_more(
    stage: Set, world: World, sql: Sql, database: Database
) -> None:
    await world.bid(stage.ada, stage.road)
    await stage.draft(DINER)
    before = await dump(sql)
    row = await sql.fetchrow("SELECT storage_key, file_name FROM drafts WHERE number = 2")
    assert row
    [project] = [each["project_id"] for each in await sql.fetch("SELECT project_id FROM drafts WHERE number = 2")]
    again = Claimed(project, 2, row["storage_key"], row["file_name"], 1)
    await database.change(lambda tx: drafts.finish(tx, again, [], None))
    assert await dump(sql) == before


async def test_an_older_draft_that_is_read_late_says_nothing(stage: Set, sql: Sql) -> None:
    await stage.draft(ROOF, read=False)
    await sql.execute("UPDATE readings SET leased_until = now() + interval '1 hour' WHERE draft_number = 2")
    await stage.scripts.draft(stage.cleo, stage.project, FIRST)  # the third: as the first
    third = [each["id"] for each in await stage.scripts.scenes(stage.cleo, stage.project)]
    assert await stage.where(stage.road) == (third[1], "current")
    await sql.execute("UPDATE readings SET leased_until = NULL WHERE draft_number = 2")
    assert await stage.scripts.read() == 1
    assert await stage.where(stage.road) == (third[1], "current")


async def test_a_failure_leaves_the_draft_to_be_read_again(stage: Set, sql: Sql) -> None:
    """One transaction: scenes without what follows from them are never seen."""
    await stage.draft(DINER, read=False)
    await sql.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON slots DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()
    """)
    with pytest.raises(asyncpg.RaiseError):
        await stage.scripts.read()
    assert ok(await stage.cleo.get(f"/projects/{stage.project['id']}"))["scriptStatus"] == "processing"
    assert await sql.fetchval("SELECT count(*) FROM scenes WHERE draft_number = 2") == 0
    await sql.execute("DROP TRIGGER refuse ON slots; DROP FUNCTION refuse")
    stage.world.advance(minutes=3)
    assert await stage.scripts.read() == 1
    assert (await stage.where(stage.road))[1] == "omitted"
