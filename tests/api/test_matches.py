"""Matches of slots and SKUs: the words, the rules with their verdicts, the order, and who is shown what."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.policies.matches import RULES
from backend.schemas.matches import MatchRule
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.scripts import Scripts
from tests.factories.world import World, ok

MISSING = "0199a3c0-0000-7000-8000-00000000dead"
PROFILE: dict[str, Any] = {"minIntegrationFee": None, "eligibilityRules": [], "allowMatching": True}


async def merchant(world: World, **profile: Any) -> Person:
    """A merchant who allows matching."""
    mo = await world.merchant()
    ok(await mo.patch("/auth/me", {"merchantProfile": {**PROFILE, **profile}}))
    return mo


async def slots_for(person: Person, sku: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(await person.get(f"/skus/{sku['id']}/matches", params=query))
    return found


async def skus_for(person: Person, slot: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ok(await person.get(f"/slots/{slot['id']}/matches", params=query))
    return found


async def verdicts(person: Person, sku: dict[str, Any], slot: dict[str, Any]) -> dict[str, tuple[bool, str]]:
    """The verdict of each rule on a pair. It is among those that pass exactly when all rules do."""
    told = []
    for failing in (False, True):
        for match in await slots_for(person, sku, failing=failing):
            if match["slot"]["id"] == slot["id"]:
                assert all(each["passed"] for each in match["rules"]) is not failing
                told.append(match["rules"])
    [rules] = told
    assert [each["rule"] for each in rules] == [each.value for each in MatchRule]
    return {each["rule"]: (each["passed"], each["detail"]) for each in rules}


# Words.


async def test_words_in_common_count_by_where_they_stand_on_both_sides(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    slot = await world.slot(
        cleo, sceneRef="The garden", description="An Anchor, and a lighter.", constraints=["Nothing rusty"]
    )
    sku = await world.sku(mo, title="Anchor Jo", tags=["lighter!"], description="Rusty? Never: for the garden.")
    [match] = await slots_for(mo, sku)
    assert match["slot"] == ok(await mo.get(f"/slots/{slot['id']}"))
    assert match["matched"] == ["anchor", "lighter", "garden", "rusty"]
    assert match["categories"] == []
    # 1 × 1, 1 × 0.4, 0.4 × 0.2, 0.1 × 0.2
    assert match["score"] == 1.5


async def test_a_pair_has_the_same_reasons_from_both_sides(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    project = await world.project(cleo)
    skus = [
        await world.sku(mo, title="Travel mug", tags=["coffee"], description="For the train; two cups of it."),
        await world.sku(mo, title="Steel suitcase", tags=["travel"]),
        await world.sku(mo, title="Espresso", description="Coffee from a bar, in mugs"),
    ]
    slots = [
        await world.slot(cleo, project, sceneRef="The train", description="MARA pours coffee into a mug."),
        await world.slot(
            cleo, project, sceneRef="The bar", description="A duffel bag; two mugs.", constraints=["Steel"]
        ),
    ]
    by_sku = {
        (match["slot"]["id"], sku["id"]): (match["score"], match["matched"], match["categories"], match["rules"])
        for sku in skus
        for match in await slots_for(mo, sku)
    }
    by_slot = {
        (slot["id"], match["sku"]["id"]): (match["score"], match["matched"], match["categories"], match["rules"])
        for slot in slots
        for match in await skus_for(mo, slot)
    }
    assert by_sku == by_slot
    assert len(by_sku) == 5
    assert by_sku[slots[1]["id"], skus[1]["id"]][2] == ["Luggage and Bags"]


async def test_a_category_in_common_is_a_reason(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    project = await world.project(cleo)
    for said, title, categories in (
        ("A duffel bag on the rack", "Suitcase Anton", ["Luggage and Bags"]),  # of two words, found by both
        ("Suitcases everywhere", "Duffel bags", ["Luggage and Bags"]),  # in the plural
        ("A pint", "Whisky", ["Alcohol"]),  # of one family
        ("A bag on the rack", "Suitcase Anton", None),  # half a thing is none
    ):
        slot, sku = await world.slot(cleo, project, description=said), await world.sku(mo, title=title)
        expected: list[Any] = [(0.5, [], categories)] if categories else []
        for found in (await slots_for(mo, sku), await skus_for(mo, slot)):
            assert [(each["score"], each["matched"], each["categories"]) for each in found] == expected, (said, title)
        ok(await cleo.delete(f"/slots/{slot['id']}"))
        ok(await mo.delete(f"/skus/{sku['id']}"))


async def test_words_that_say_nothing_match_nothing(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    slot = await world.slot(cleo, sceneRef="Scene 13", description="It is the last of them, and so what? ★ x")
    sku = await world.sku(mo, title="The 13", description="of what is the last ★ x")
    bare = await world.sku(mo, title="★")
    for each in (sku, bare):
        assert await slots_for(mo, each) == await slots_for(mo, each, failing=True) == []
    assert await skus_for(mo, slot) == []
    blank = await world.slot(cleo, sceneRef="★")
    assert await skus_for(mo, blank) == []


async def test_words_follow_every_change(world: World, sql: asyncpg.Connection[asyncpg.Record]) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    slot, sku = await world.slot(cleo, description="A lantern"), await world.sku(mo, title="Anchor")
    assert await slots_for(mo, sku) == []
    ok(await cleo.patch(f"/slots/{slot['id']}", {"description": None, "constraints": ["Anchor"]}))
    assert [each["matched"] for each in await slots_for(mo, sku)] == [["anchor"]]
    ok(await cleo.patch(f"/slots/{slot['id']}", {"constraints": [], "sceneRef": "Lantern room"}))
    assert await slots_for(mo, sku) == []
    ok(await mo.patch(f"/skus/{sku['id']}", {"tags": ["lantern"]}))
    assert [each["matched"] for each in await skus_for(cleo, slot)] == [["lantern"]]
    ok(await mo.delete(f"/skus/{sku['id']}"))
    assert await skus_for(cleo, slot) == []
    refused(await mo.get(f"/skus/{sku['id']}/matches"), 404)
    other = await world.sku(mo, title="Lantern")
    assert len(await slots_for(mo, other)) == 1
    ok(await cleo.delete(f"/slots/{slot['id']}"))
    assert await slots_for(mo, other) == await slots_for(mo, other, failing=True) == []
    assert await sql.fetchval("SELECT count(*) FROM slot_words") == 0


async def test_of_a_scene_only_the_place_in_its_heading_takes_part(world: World, scripts: Scripts) -> None:
    """A buyer who could ask for any word of a scene would read the script word by word."""
    cleo, mo = await world.creator(), await merchant(world)
    project = await scripts.project(
        cleo, b"INT. QUARRY - NIGHT\n\nMARA drops a quokka.\n\nINT. HARBOUR - DAY\n\nRain.\n"
    )
    quarry, harbour = await scripts.scenes(cleo, project)
    slot = await world.slot(cleo, project, description="A anchor", sceneId=quarry["id"])
    sku = await world.sku(mo, title="Quokka anchor", tags=["quarry", "night"], description="Mara drops a harbour")
    [match] = await slots_for(mo, sku)
    assert (match["score"], match["matched"]) == (1.08, ["anchor", "quarry"])
    assert [(each["score"], each["matched"]) for each in await skus_for(cleo, slot)] == [(1.08, ["anchor", "quarry"])]
    ok(await cleo.patch(f"/slots/{slot['id']}", {"sceneId": harbour["id"]}))
    assert (await slots_for(mo, sku))[0]["matched"] == ["anchor", "harbour"]
    ok(await cleo.patch(f"/slots/{slot['id']}", {"sceneId": None}))
    assert (await slots_for(mo, sku))[0]["matched"] == ["anchor"]


# Rules.


def test_the_documented_rules_are_those_that_judge() -> None:
    assert [rule.name for rule in RULES] == [each.value for each in MatchRule]


EXCLUDED: list[tuple[list[str], dict[str, Any], list[str]]] = [
    ([], {}, []),
    (["Toys"], {}, []),
    (["ALCOHOL"], {"tags": ["alcohol"]}, ["ALCOHOL"]),
    (["soft   drinks"], {"tags": ["Soft-Drink"]}, ["soft   drinks"]),  # case, blanks, signs, a plural
    (["Lanterns"], {}, ["Lanterns"]),  # the product's own name
    (["Antern", "Lan"], {}, []),  # parts of a word are not it
    (["Alcohol"], {"description": "For a pint of lager"}, ["Alcohol"]),  # a family, by the lexicon
    (["beer", "Toys", "Wine"], {"description": "For a pint of lager"}, ["beer"]),
    (["Spirits"], {"description": "For a pint of lager"}, []),
    (["★"], {"title": "Lantern ★"}, []),  # a label without a word excludes nothing
]


async def test_excluded_categories(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    project = await world.project(cleo)
    for excluded, product, hit in EXCLUDED:
        slot = await world.slot(cleo, project, description="A lantern", excludedCategories=excluded)
        sku = await world.sku(mo, **{"title": "Lantern", **product})
        told = (
            f"The slot excludes {', '.join(excluded)}; this is none of it."
            if excluded
            else "The slot excludes nothing."
        )
        expected = (False, f"The slot excludes {', '.join(hit)}.") if hit else (True, told)
        assert (await verdicts(mo, sku, slot))["category"] == expected, (excluded, product)
        assert len(await skus_for(cleo, slot, failing=bool(hit))) == 1, "the creator is told the same"
        ok(await mo.delete(f"/skus/{sku['id']}"))


async def test_the_minimum_fee(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    slot, sku = await world.slot(cleo, description="A lantern", pricingFloor=1000), await world.sku(mo, title="Lantern")
    for fee, passed, own in (
        (None, True, "The floor is 1,000.00; no minimum fee is set."),
        (0, True, "The floor of 1,000.00 reaches the minimum fee of 0.00."),
        (999.99, True, "The floor of 1,000.00 reaches the minimum fee of 999.99."),
        (1000, True, "The floor of 1,000.00 reaches the minimum fee of 1,000.00."),
        (1000.01, False, "The floor of 1,000.00 is below the minimum fee of 1,000.01."),
    ):
        ok(await mo.patch("/auth/me", {"merchantProfile": {**PROFILE, "minIntegrationFee": fee}}))
        assert (await verdicts(mo, sku, slot))["price"] == (passed, own)
        [seen] = await skus_for(cleo, slot, failing=not passed)
        told = next(each["detail"] for each in seen["rules"] if each["rule"] == "price")
        verb = "reaches" if passed else "is below"
        assert told == f"The floor of 1,000.00 {verb} what the merchant asks for.", "the fee is nobody else's to know"


async def test_the_production_window_is_over_with_its_last_year(world: World) -> None:
    world.freeze(world.now().replace(year=2026, month=12, day=31, hour=23, minute=59))
    cleo, mo = await world.creator(), await merchant(world)
    sku = await world.sku(mo, title="Lantern")
    windows = {"Q3 2031": True, "2026": True, "Spring 2025": False, "2024 to 2031": True, "Soon": True, "12025": True}
    for window, passed in windows.items():
        slot = await world.slot(cleo, await world.project(cleo, productionWindow=window), description="A lantern")
        told = f"The production window, {window}, is {'not over' if passed else 'over'}."
        assert (await verdicts(mo, sku, slot))["production"] == (passed, told)


async def test_the_end_of_bidding_counts_from_its_instant(world: World) -> None:
    now = world.freeze()
    cleo, mo = await world.creator(), await merchant(world)
    closes = now + timedelta(hours=1)
    slot = await world.slot(cleo, description="A lantern", biddingClosesAt=closes.isoformat())
    sku = await world.sku(mo, title="Lantern")
    assert (await verdicts(mo, sku, slot))["bidding"] == (True, f"Bidding closes at {closes:%Y-%m-%d %H:%M} UTC.")
    world.freeze(closes - timedelta(microseconds=1))
    assert (await verdicts(mo, sku, slot))["bidding"][0]
    world.freeze(closes)
    assert (await verdicts(mo, sku, slot))["bidding"] == (False, f"Bidding closed at {closes:%Y-%m-%d %H:%M} UTC.")


@pytest.mark.parametrize("modality", ["Private Auction", "PG/Reservation"])
async def test_what_a_match_says_of_bidding_is_what_a_bid_meets(world: World, modality: str) -> None:
    cleo, mo, ada = await world.creator(), await merchant(world), await world.advertiser()
    project, sku = await world.project(cleo), await world.sku(mo, title="Lantern")
    slots = {}
    for state in ("free", "bid on", "approved", "sold", "cancelled", "own bid", "own bid declined"):
        slot = slots[state] = await world.slot(cleo, project, description="A lantern", modality=modality)
        if state == "free":
            continue
        bid = await world.bid(mo if "own" in state else ada, slot)
        if state in ("approved", "sold", "cancelled"):
            await world.approve(cleo, bid)
        if state in ("sold", "cancelled"):
            await world.approve(ada, bid)
            commitment = ok(await ada.post(f"/bids/{bid['id']}/commit"))
        if state == "cancelled":
            for person in (cleo, ada):
                ok(await person.post(f"/commitments/{commitment['id']}/cancel", {"reason": "Another year"}))
        if state == "own bid declined":
            ok(await cleo.post(f"/bids/{bid['id']}/decline", {"reason": "fit"}))
    granted = {state: await _meets(mo, sku, slot) for state, slot in slots.items() if state != "own bid declined"}
    auction = modality == "Private Auction"
    assert granted == {
        "free": True, "bid on": auction, "approved": auction, "sold": False, "cancelled": True, "own bid": False,
    }  # fmt: skip
    world.advance(days=20)  # holds and bids run out; nothing writes it down
    assert ada.user
    assert mo.user
    cleo, mo = await world.log_in(cleo.user["email"] if cleo.user else ""), await world.log_in(mo.user["email"])
    for state in ("bid on", "approved", "own bid", "own bid declined"):
        assert await _meets(mo, sku, slots[state]), state


async def _meets(mo: Person, sku: dict[str, Any], slot: dict[str, Any]) -> bool:
    """Whether a bid is granted: that, and why not, is what the match says."""
    told = await verdicts(mo, sku, slot)
    answer = await mo.post(f"/slots/{slot['id']}/bids", {"amount": 2000, "objective": "Awareness"})
    assert answer.status_code == (201 if told["availability"][0] and told["bid"][0] else 409), (told, answer.text)
    if answer.json().get("code") in ("slot_sold", "slot_locked"):
        assert answer.json()["detail"] == told["availability"][1]
    return answer.status_code == 201


# Order and pages.


async def test_the_order_is_by_score_and_then_by_id_however_the_rows_came(
    world: World, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    project = await world.project(cleo)
    sku = await world.sku(mo, title="Lantern", tags=["garden"], description="Rusty")
    shuffled = random.Random(5)
    texts = ["A lantern", "A garden", "A rusty lantern", "A lantern"] * 3
    shuffled.shuffle(texts)
    wanted = [UUID((await world.slot(cleo, project, description=text))["id"]) for text in texts]
    first = await slots_for(mo, sku)
    order = [(each["score"], each["slot"]["id"]) for each in first]
    assert len({score for score, _ in order}) == 3
    assert order == sorted(order, reverse=True)
    assert len(order) == 12
    for _ in range(2):
        shuffled.shuffle(wanted)
        for slot_id in wanted:  # rows and their words move within their tables
            await sql.execute("UPDATE slots SET scene_ref = scene_ref WHERE id = $1", slot_id)
        assert await slots_for(mo, sku) == first
    paged: list[dict[str, Any]] = []
    path = f"/skus/{sku['id']}/matches?limit=5"
    while path:
        answer = await mo.get(path)
        paged += ok(answer)
        link = answer.headers.get("link", "")
        path = link.partition(">")[0].removeprefix("</api/v1") if link else ""
    assert paged == first


async def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    project = await world.project(cleo)
    slots = [await world.slot(cleo, project, description="A lantern") for _ in range(2)]
    sku, _ = await world.sku(mo, title="Lantern"), await world.sku(mo, title="Lantern")
    link = (await mo.get(f"/skus/{sku['id']}/matches?limit=1")).headers["link"]
    cursor = link.partition("cursor=")[2].partition(">")[0].partition("&")[0]
    assert cursor
    refused(await cleo.get(f"/slots/{slots[0]['id']}/matches?cursor={cursor}"), 422, field="cursor")
    refused(await mo.get(f"/skus/{sku['id']}/matches?cursor=x"), 422, field="cursor")
    there = await cleo.get(f"/slots/{slots[0]['id']}/matches?limit=1")
    rest = await cleo.get(there.headers["link"].partition(">")[0].removeprefix("</api/v1"))
    assert [each["sku"]["id"] for each in ok(there) + ok(rest)] == sorted(
        (each["sku"]["id"] for each in await skus_for(cleo, slots[0])), reverse=True
    )


# Who is shown what.


async def test_a_slot_that_the_merchant_may_not_see_is_in_no_answer(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    project = await world.project(cleo)
    hidden = await world.slot(cleo, project, description="A lantern", visibility="Private")
    sku = await world.sku(mo, title="Lantern")
    assert await slots_for(mo, sku) == await slots_for(mo, sku, failing=True) == []
    refused(await mo.get(f"/slots/{hidden['id']}/matches"), 404)
    # Its creator is told why, and may invite.
    assert await skus_for(cleo, hidden) == []
    [seen] = await skus_for(cleo, hidden, failing=True)
    told = {each["rule"]: each["detail"] for each in seen["rules"] if not each["passed"]}
    assert told == {"visibility": "The slot is Private, and the merchant is not invited."}
    ok(await cleo.put(f"/slots/{hidden['id']}/invitees", {"userIds": [seen["sku"]["merchantId"]]}))
    passed = "The slot is Private; the merchant is invited, or has had a bid on it."
    assert (await verdicts(mo, sku, hidden))["visibility"] == (True, passed)
    assert len(await skus_for(cleo, hidden)) == len(await skus_for(mo, hidden)) == 1
    ok(await cleo.put(f"/slots/{hidden['id']}/invitees", {"userIds": []}))
    assert await slots_for(mo, sku) == await slots_for(mo, sku, failing=True) == []


async def test_a_creator_is_shown_what_merchants_allow_and_no_more(world: World) -> None:
    cleo, mo, shy = await world.creator(), await merchant(world, minIntegrationFee=7310), await world.merchant()
    slot = await world.slot(cleo, description="A lantern")
    fields = {"title": "Lantern", "margin": 73.11, "description": "Quokka", "externalId": "Numbat"}
    sku = await world.sku(mo, **fields, tags=["garden"], imageUrl="https://example.com/a.jpg")
    await world.sku(shy, **fields)
    for failing in (False, True):
        response = await cleo.get(f"/slots/{slot['id']}/matches", params={"failing": failing})
        for secret in ("73.11", "7310", "7,310", "quokka", "numbat", "margin"):
            assert secret not in response.text.lower()
        if failing:
            [match] = ok(response)
    kept = ("id", "merchantId", "title", "price", "tags", "imageUrl")
    assert match["sku"] == {name: sku[name] for name in kept}
    ok(await mo.patch("/auth/me", {"merchantProfile": {**PROFILE, "allowMatching": False}}))
    assert await skus_for(cleo, slot) == await skus_for(cleo, slot, failing=True) == []
    assert len(await skus_for(mo, slot)) == len(await skus_for(shy, slot)) == 1, "one's own are one's own"


async def test_a_buyer_is_shown_its_own_skus_alone(world: World) -> None:
    cleo, mo, mia, ada = await world.creator(), await merchant(world), await merchant(world), await world.advertiser()
    slot = await world.slot(cleo, description="A lantern")
    theirs, mine = await world.sku(mo, title="Lantern"), await world.sku(mia, title="Lantern")
    assert [each["sku"]["id"] for each in await skus_for(mia, slot)] == [mine["id"]]
    assert await skus_for(mia, slot, failing=True) == []
    assert await skus_for(ada, slot) == await skus_for(ada, slot, failing=True) == []
    for person in (mia, ada, cleo, await world.operator()):
        hidden = refused(await person.get(f"/skus/{theirs['id']}/matches"), 404)
        missing = refused(await person.get(f"/skus/{MISSING}/matches"), 404)
        assert {**hidden, "requestId": ""} == {**missing, "requestId": ""}
    refused(await (await world.creator()).get(f"/slots/{slot['id']}/matches"), 404)
    refused(await world.nobody.get(f"/slots/{slot['id']}/matches"), 401)
    seen = [each["sku"]["id"] for each in await skus_for(await world.operator(), slot)]
    assert seen == [each["sku"]["id"] for each in await skus_for(cleo, slot)] == [mine["id"], theirs["id"]]


async def test_who_has_left_or_is_deactivated_matches_nothing(world: World) -> None:
    cleo, mo, mia, olga = await world.creator(), await merchant(world), await merchant(world), await world.operator()
    slot = await world.slot(cleo, description="A lantern")
    await world.sku(mo, title="Lantern")
    sku = await world.sku(mia, title="Lantern")
    ok(await mo.delete("/auth/me"))
    assert [each["sku"]["id"] for each in await skus_for(cleo, slot)] == [sku["id"]]
    ok(await olga.patch(f"/operator/users/{mia.id}", {"isActive": False}))
    assert await skus_for(cleo, slot) == await skus_for(cleo, slot, failing=True) == []
    ok(await olga.patch(f"/operator/users/{mia.id}", {"isActive": True}))
    mia = await world.log_in(mia.user["email"] if mia.user else "")
    assert len(await slots_for(mia, sku)) == 1
    ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": False}))
    assert await slots_for(mia, sku) == await slots_for(mia, sku, failing=True) == []


async def test_a_query_out_of_shape_is_refused(world: World) -> None:
    cleo, mo = await world.creator(), await merchant(world)
    slot, sku = await world.slot(cleo), await world.sku(mo)
    for query in ("failing=maybe", "limit=0", "limit=1001", "limit=x", "cursor=" + "x" * 501):
        refused(await mo.get(f"/skus/{sku['id']}/matches?{query}"), 422, field=query.partition("=")[0])
        refused(await cleo.get(f"/slots/{slot['id']}/matches?{query}"), 422, field=query.partition("=")[0])
