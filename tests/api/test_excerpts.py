"""Excerpts: a heading and a few lines for whoever may see the slot; as a PDF, with its reader's name across it."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any, TypeAlias

import asyncpg
import pytest
from pypdf import PdfReader

from backend.services.excerpts import lines_of
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.scripts import DINER, FIRST, OFFICE, ROAD, Scripts
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
COFFEE = "1133"  # the category


@pytest.fixture
async def cleo(world: World) -> Person:
    return await world.creator(name="Cleo Marchetti")


@pytest.fixture
async def project(scripts: Scripts, cleo: Person) -> dict[str, Any]:
    return await scripts.project(cleo)


@pytest.fixture
async def scenes(scripts: Scripts, cleo: Person, project: dict[str, Any]) -> list[dict[str, Any]]:
    return await scripts.scenes(cleo, project)


@pytest.fixture
async def suggested(cleo: Person, project: dict[str, Any]) -> dict[str, Any]:
    """A slot made from the suggestion of coffee in the diner."""
    found = ok(await cleo.get(f"/projects/{project['id']}/slot-suggestions"))
    coffee = next(each for each in found if each["category"]["iabId"] == COFFEE)
    path = f"/projects/{project['id']}/slots/from-suggestions"
    [slot] = ok(await cleo.post(path, {"suggestionIds": [coffee["id"]], "pricingFloor": 1000}))
    return dict(slot)


async def views(cleo: Person, project: dict[str, Any], *papers: str) -> list[dict[str, Any]]:
    found = ok(await cleo.get(f"/projects/{project['id']}/views"))
    return [each for each in found if each["what"] in papers]


async def pdf(person: Person, bid: dict[str, Any], **headers: str) -> str:
    """The text of a bid's excerpt."""
    response = await person.get(f"/bids/{bid['id']}/excerpt", headers=headers)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/pdf"
    assert response.headers["content-disposition"].startswith("attachment; ")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "no-store" in response.headers["cache-control"]
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(response.content)).pages).split())


async def test_a_suggested_slot_shows_the_lines_around_its_evidence(
    world: World, cleo: Person, project: dict[str, Any], suggested: dict[str, Any]
) -> None:
    ada = await world.advertiser(name="Ada")
    excerpt = ok(await ada.get(f"/slots/{suggested['id']}/excerpt"))
    assert excerpt == {
        "slotId": suggested["id"],
        "sceneId": suggested["sceneId"],
        "number": "1",
        "heading": "INT. DINER - NIGHT",
        "page": 1,
        "lines": ["MARA pours coffee from a dented steel thermos.", "MARA"],
    }
    for reader in (cleo, await world.operator(), ada):
        assert ok(await reader.get(f"/slots/{suggested['id']}/excerpt")) == excerpt
    seen = await views(cleo, project, "excerpt")
    assert [each["readerName"] for each in seen] == ["Ada", "Op Erator", "Cleo Marchetti", "Ada"]
    assert {(each["slotId"], each["bidId"], each["draftNumber"]) for each in seen} == {(suggested["id"], None, 1)}


async def test_a_slot_tagged_by_hand_shows_the_heading_alone(
    world: World, cleo: Person, project: dict[str, Any], scenes: list[dict[str, Any]]
) -> None:
    slot = await world.slot(cleo, project, sceneId=scenes[0]["id"])
    excerpt = ok(await (await world.merchant()).get(f"/slots/{slot['id']}/excerpt"))
    assert (excerpt["heading"], excerpt["page"], excerpt["lines"]) == ("INT. DINER - NIGHT", 1, [])
    assert len(await views(cleo, project, "excerpt")) == 1


async def test_a_slot_without_a_scene_shows_nothing_and_nothing_was_seen(
    world: World, cleo: Person, project: dict[str, Any]
) -> None:
    slot = await world.slot(cleo, project)
    excerpt = ok(await (await world.merchant()).get(f"/slots/{slot['id']}/excerpt"))
    nothing = dict.fromkeys(("sceneId", "number", "heading", "page"))
    assert excerpt == {"slotId": slot["id"], **nothing, "lines": []}
    assert await views(cleo, project, "excerpt") == []


async def test_an_excerpt_is_for_whoever_may_see_the_slot(
    world: World, cleo: Person, project: dict[str, Any], scenes: list[dict[str, Any]]
) -> None:
    slot = await world.slot(cleo, project, sceneId=scenes[0]["id"], visibility="Private")
    path = f"/slots/{slot['id']}/excerpt"
    ada = await world.advertiser()
    for stranger in (ada, await world.creator()):
        refused(await stranger.get(path), 404)
    refused(await world.nobody.get(path), 401)
    assert await views(cleo, project, "excerpt") == []
    ok(await cleo.put(f"/slots/{slot['id']}/invitees", {"userIds": [ada.id]}))
    assert ok(await ada.get(path))["heading"] == "INT. DINER - NIGHT"


async def test_a_deals_excerpt_carries_its_readers_name_time_request_and_view(
    world: World, cleo: Person, project: dict[str, Any], suggested: dict[str, Any]
) -> None:
    ada = await world.advertiser(name="Ada Lindqvist")
    bid = await world.bid(ada, suggested)
    at = world.freeze()
    told = await pdf(ada, bid, **{"X-Request-ID": "request-of-ada"})
    [seen] = await views(cleo, project, "excerpt_pdf")
    assert (seen["readerId"], seen["slotId"], seen["bidId"]) == (ada.id, suggested["id"], bid["id"])
    assert seen["requestId"] == "request-of-ada"
    for words in (
        "INT. DINER - NIGHT",
        "Scene 1, page 1",
        "MARA pours coffee from a dented steel thermos.",
        seen["id"],
    ):
        assert words in told, words
    for mark in ("request-of-ada", seen["id"]):
        assert told.count(f"Ada Lindqvist (Advertiser) · {at.day} {at:%B %Y, %H:%M} UTC · {mark}") > 10
    assert "cold" not in told, "the line after the next"
    for person, name in ((cleo, "Cleo Marchetti (Creator)"), (await world.operator(), "Op Erator (Operator)")):
        assert name in await pdf(person, bid)
    assert len(await views(cleo, project, "excerpt_pdf")) == 3


async def test_strangers_and_rivals_find_no_excerpt_of_a_deal(
    world: World, cleo: Person, project: dict[str, Any], suggested: dict[str, Any]
) -> None:
    bid = await world.bid(await world.advertiser(), suggested)
    rival = await world.merchant()
    await world.bid(rival, suggested)
    for stranger in (rival, await world.creator()):
        refused(await stranger.get(f"/bids/{bid['id']}/excerpt"), 404)
    refused(await world.nobody.get(f"/bids/{bid['id']}/excerpt"), 401)
    assert await views(cleo, project, "excerpt_pdf") == []


async def test_a_bid_that_has_ended_shows_no_excerpt_and_a_committed_one_does(
    world: World, cleo: Person, project: dict[str, Any], suggested: dict[str, Any]
) -> None:
    ada, mo = await world.advertiser(), await world.merchant()
    late = await world.bid(ada, suggested)
    commitment = await world.committed(cleo, mo, suggested)
    assert "MARA pours coffee" in await pdf(mo, {"id": commitment["bidId"]})
    problem = refused(await ada.get(f"/bids/{late['id']}/excerpt"), 409, "wrong_state")
    assert (problem["currentStatus"], problem["allowedActions"]) == ("Declined", [])
    lapsed = await world.bid(ada, await world.slot(cleo, project))
    world.advance(days=15)
    ada = await world.log_in(str((ada.user or {})["email"]))
    refused(await ada.get(f"/bids/{lapsed['id']}/excerpt"), 409, "wrong_state")
    assert len(await views(await world.log_in(str((cleo.user or {})["email"])), project, "excerpt_pdf")) == 1


async def test_a_deal_without_a_scene_has_no_excerpt(world: World, cleo: Person, project: dict[str, Any]) -> None:
    ada = await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo, project))
    problem = refused(await ada.get(f"/bids/{bid['id']}/excerpt"), 409, "no_scene")
    assert problem["currentStatus"] == "Pending"


async def test_the_scene_that_was_bid_on_is_shown_whatever_a_new_draft_did(
    world: World, scripts: Scripts, cleo: Person, project: dict[str, Any], suggested: dict[str, Any]
) -> None:
    ada = await world.advertiser()
    bid = await world.bid(ada, suggested)
    changed = DINER.replace(b"dented steel thermos", b"brand-new jug and a thermos")
    for content in (changed + ROAD + OFFICE, ROAD + OFFICE):
        await scripts.draft(cleo, project, content)
        told = await pdf(ada, bid)
        assert "MARA pours coffee from a dented steel thermos." in told
        assert "jug" not in told


async def test_another_scene_offered_by_new_terms_is_the_one_that_is_shown(
    world: World, cleo: Person, suggested: dict[str, Any], scenes: list[dict[str, Any]]
) -> None:
    ada = await world.advertiser()
    bid = await world.bid(ada, suggested)
    ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "sceneId": scenes[1]["id"]}))
    told = await pdf(ada, bid)
    assert "EXT. ROAD - DAY" in told
    assert "heading alone" in told, "no coffee on the road"
    assert "thermos" not in told
    assert ok(await ada.get(f"/slots/{suggested['id']}/excerpt"))["heading"] == "INT. DINER - NIGHT"


async def test_a_memo_names_scene_page_and_excerpt_of_the_draft_that_was_agreed_on(
    world: World, scripts: Scripts, cleo: Person, project: dict[str, Any], suggested: dict[str, Any]
) -> None:
    ada = await world.advertiser()
    bid = await world.bid(ada, suggested)
    await scripts.draft(cleo, project, ROAD + OFFICE)
    await world.approve(cleo, bid)
    await world.approve(ada, bid)
    document = PdfReader(io.BytesIO((await ada.get(f"/bids/{bid['id']}/memo")).content))
    told = " ".join(" ".join(page.extract_text() for page in document.pages).split())
    for words in ("INT. DINER - NIGHT", "Scene 1, page 1 of draft 1", "MARA pours coffee from a dented steel thermos."):
        assert words in told, words
    stated = json.loads(document.attachments["memo.json"][0])
    assert stated["draft"] == {"number": 1, "sha256": hashlib.sha256(FIRST).hexdigest()}
    assert stated["terms"]["sceneId"] == suggested["sceneId"]
    assert stated["scene"] == {
        "heading": "INT. DINER - NIGHT",
        "lines": ["MARA pours coffee from a dented steel thermos.", "MARA"],
        "number": "1",
        "page": 1,
    }
    [seen] = await views(cleo, project, "memo")
    assert (seen["readerId"], seen["slotId"], seen["bidId"]) == (ada.id, suggested["id"], bid["id"])


# The lines.


def test_lines_are_the_evidence_and_its_neighbours() -> None:
    passages = [["action", f"line {index}"] for index in range(9)]
    passages[5] = ["dialogue", "More coffee?"]
    assert lines_of(passages, COFFEE) == ["line 4", "More coffee?", "line 6"]
    assert lines_of(passages[5:], COFFEE) == ["More coffee?", "line 6"]
    assert lines_of([*passages, ["action", "Coffee again."]], COFFEE) == ["line 4", "More coffee?", "line 6"]


def test_there_are_no_lines_without_evidence() -> None:
    passages = [["character", "COFFEE"], ["action", "Nothing."], ["transition", "COFFEE TO:"]]
    assert lines_of(passages, COFFEE) == []
    assert lines_of([["action", "Coffee."]], None) == []
    assert lines_of([], COFFEE) == []


@pytest.mark.parametrize("at", [0, 100, 5000, 9950])
def test_a_scene_in_one_paragraph_is_not_given_away_whole(at: int) -> None:
    words = ("x" * 99 + " ") * 100
    words = f"{words[:at]} coffee {words[at:]}"
    before, evidence, after = lines_of([["action", "b" * 5000], ["action", words], ["action", "a" * 5000]], COFFEE)
    assert before == "…" + "b" * 240
    assert after == "a" * 240 + "…"
    assert "coffee" in evidence
    assert evidence.strip("…") in words
    assert len(evidence.strip("…")) == 240
