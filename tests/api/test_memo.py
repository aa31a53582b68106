"""The deal memo: who gets it when, what it says, and that it says it the same way twice."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pytest
from pypdf import PdfReader

from backend.core.config import DAY, Settings
from tests.factories.people import Person
from tests.factories.world import World, ok


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Sessions that outlive the days these tests let pass."""
    return settings.model_copy(update={"jwt_expires_in": 365 * DAY})


async def pdf(person: Person, bid: dict[str, Any] | str) -> bytes:
    bid_id = bid if isinstance(bid, str) else bid["id"]
    response = await person.get(f"/bids/{bid_id}/memo")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/pdf"
    return response.content


def text(document: bytes) -> str:
    """The text of all pages, its line breaks as blanks."""
    pages = PdfReader(io.BytesIO(document)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


async def test_there_is_no_memo_before_both_have_approved(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    bid = await world.bid(ada, await world.slot(cleo))
    for person, allowed in ((cleo, ["terms", "approve", "decline"]), (ada, ["terms", "approve", "withdraw"])):
        refused = await person.get(f"/bids/{bid['id']}/memo")
        problem = refused.json()
        assert (refused.status_code, problem["code"], problem["currentStatus"]) == (409, "wrong_state", "Pending")
        assert problem["allowedActions"] == allowed
    await world.approve(cleo, bid)
    assert (await olga.get(f"/bids/{bid['id']}/memo")).json()["currentStatus"] == "AwaitingFinalApproval"
    await world.approve(ada, bid)
    for person in (cleo, ada, olga):
        assert (await pdf(person, bid)).startswith(b"%PDF-")


async def test_strangers_and_nobody_find_no_memo(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.accepted(cleo, ada)
    path = f"/bids/{bid['id']}/memo"
    assert (await world.nobody.get(path)).status_code == 401
    missing = (await ada.get("/bids/0199a3c0-0000-7000-8000-000000000000/memo")).json()
    for stranger in (await world.creator(), await world.advertiser(), await world.merchant()):
        refused = await stranger.get(path)
        assert refused.status_code == 404
        assert {**refused.json(), "requestId": ""} == {**missing, "requestId": ""}


async def test_a_memo_is_an_attachment_that_no_cache_keeps(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo, title='夜の "Train" 50%\\x')
    bid = await world.accepted(cleo, ada, await world.slot(cleo, project))
    headers = (await ada.get(f"/bids/{bid['id']}/memo")).headers
    disposition = headers["content-disposition"]
    assert disposition.startswith('attachment; filename="Deal memo _ __ _Train_ 50__x _ ')
    assert "filename*=UTF-8''Deal%20memo%20%E2%80%93%20%E5%A4%9C%E3%81%AE%20%22Train%22%2050%25%5Cx" in disposition
    assert disposition.endswith(f"{bid['id'][-12:]}.pdf")
    assert headers["x-content-type-options"] == "nosniff"
    assert "no-store" in headers["cache-control"]


async def test_a_memo_tells_parties_placement_terms_approvals_and_their_times(world: World) -> None:
    cleo = await world.creator(name="Cleo Marchetti")
    mo = await world.merchant(name="Мо и сын")
    project = await world.project(cleo, title="Night Train", genre="Drama", productionWindow="Autumn 2027")
    slot = await world.slot(
        cleo,
        project,
        sceneRef="Scene 12, the dining car",
        description="A hand pours coffee.",
        type="Hands-on",
        constraints=["No logo in close-up"],
    )
    sku = await world.sku(mo, title="Thermos Nordlicht")
    bid = await world.bid(mo, slot, amount=1500, objective="Awareness among travellers", skuIds=[sku["id"]])
    bid = ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 18500.5}))
    await world.approve(mo, bid)
    await world.approve(cleo, bid)
    told = text(await pdf(cleo, bid))
    for words in (
        "Night Train",
        "Drama",
        "Autumn 2027",
        "Scene 12, the dining car",
        "A hand pours coffee.",
        "Hands-on, Private Auction",
        "No logo in close-up",
        "Cleo Marchetti",
        "Мо и сын",
        "Awareness among travellers",
        "Thermos Nordlicht",
        "USD 1,500.00",
        "USD 18,500.50",
        "Page 1 of 1",
        bid["id"],
    ):
        assert words in told, words
    assert told.count(" UTC") >= 5, "two versions, two approvals, the deadline"


async def test_the_digest_is_that_of_the_terms_as_anyone_can_compute_it(world: World) -> None:
    cleo, mo = await world.creator(), await world.merchant()
    sku = await world.sku(mo)
    slot = await world.slot(cleo)
    bid = await world.bid(mo, slot, amount=1234.5, objective='Ünïcode "quoted"\nand a line', skuIds=[sku["id"]])
    await world.approve(cleo, bid)
    await world.approve(mo, bid)
    terms = {
        "amount": "1234.50",
        "amountTerms": "USD 1,234.50",
        "bidId": bid["id"],
        "buyerId": mo.id,
        "creatorId": cleo.id,
        "currency": "USD",
        "objective": 'Ünïcode "quoted"\nand a line',
        "skuIds": [sku["id"]],
        "slotId": slot["id"],
        "termsVersion": 1,
    }
    canonical = json.dumps(terms, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(canonical).hexdigest() in text(await pdf(mo, bid)).replace(" ", "")


async def test_the_same_state_gives_the_same_bytes_to_everyone_at_any_time(world: World) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    bid = await world.accepted(cleo, ada)
    first = await pdf(cleo, bid)
    world.advance(hours=5)
    ok(await ada.post(f"/bids/{bid['id']}/comments", {"text": "Talk changes no terms."}))
    assert await pdf(ada, bid) == first
    assert await pdf(olga, bid) == first
    ok(await ada.post(f"/bids/{bid['id']}/commit"))
    assert await pdf(ada, bid) != first


async def test_a_memo_follows_the_commitment_to_its_end(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    commitment = await world.committed(cleo, ada)
    path, bid = f"/commitments/{commitment['id']}", commitment["bidId"]
    assert "Active" in text(await pdf(ada, bid)).title()
    ok(await cleo.post(f"{path}/deliver", {"evidenceUrl": "https://video.example/scene-1"}))
    delivered = text(await pdf(ada, bid))
    assert "https://video.example/scene-1" in delivered
    world.advance(days=20)
    by_clock = text(await pdf(ada, bid))
    assert "Completed" in by_clock.title()
    assert by_clock != delivered, "what the clock confirmed counts from its instant"


async def test_a_cancelled_deal_keeps_its_memo_and_one_that_lapsed_has_none(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    commitment = await world.committed(cleo, ada)
    for person in (cleo, ada):
        ok(await person.post(f"/commitments/{commitment['id']}/cancel", {"reason": "The scene was cut."}))
    assert "Cancelled" in text(await pdf(cleo, commitment["bidId"])).title()
    lapsed = await world.accepted(cleo, ada)
    world.advance(days=8)
    refused = await ada.get(f"/bids/{lapsed['id']}/memo")
    assert (refused.status_code, refused.json()["currentStatus"]) == (409, "Declined")
    assert refused.json()["allowedActions"] == []


@pytest.mark.parametrize(
    "words",
    [
        "Łódź, Škoda, Ñandú, cà phê sữa đá",
        "Ελληνικός καφές",
        "Чай в вагоне-ресторане",
        "夜行列車 夜行列车",
        "コーヒー と ひらがな",
        "야간열차",
        "مرحبا بالعالم",
        "שלום עולם",
        "नमस्ते",
        "สวัสดี",
        "🎬🚂☕",
    ],
)
async def test_every_script_prints(world: World, words: str) -> None:
    """No character falls to the box that stands for a missing glyph."""
    cleo = await world.creator(name=words)
    ada = await world.advertiser(name="Ada")
    bid = await world.accepted(cleo, ada, await world.slot(cleo, await world.project(cleo, title=words)))
    document = PdfReader(io.BytesIO(await pdf(ada, bid)))
    told = "".join("".join(page.extract_text() for page in document.pages).split())
    if not any(char in words for char in "مשनส🎬"):  # joined, reversed or drawn: the text layer says these its own way
        for word in words.replace(",", "").split():
            assert word in told
    assert "\ufffd" not in told
    assert "\x00" not in told
    assert document.metadata is not None
    assert document.metadata.title == f"Deal memo: {words}"


async def test_words_of_people_are_printed_and_never_read_as_markup(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser(name="*Ada* #panic() $x$ <b> @c \\ `d` //e")
    evil = '#set text(fill: white)\n#read("/etc/passwd") *bold* _it_ = Title\n- list [x] ~ "q" \\u{41}'
    bid = await world.bid(ada, await world.slot(cleo), objective=evil)
    await world.approve(cleo, bid)
    await world.approve(ada, bid)
    told = text(await pdf(ada, bid))
    assert "*Ada* #panic() $x$ <b> @c \\ `d` //e" in told
    assert '#read("/etc/passwd") *bold* _it_ = Title' in told
    assert "#set text(fill: white)" in told


async def test_the_longest_texts_and_many_versions_fit(world: World) -> None:
    cleo, ada = await world.creator(name="C" * 200), await world.advertiser(name="A" * 200)
    slot = await world.slot(cleo, sceneRef="s" * 4000, description="Word " * 799, constraints=["c" * 100] * 50)
    bid = await world.bid(ada, slot, objective="o" * 4000, amountTerms="t" * 4000)
    for version in range(1, 31):
        bid = ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": version, "amount": 2000 + version}))
    await world.approve(cleo, bid)
    await world.approve(ada, bid)
    document = PdfReader(io.BytesIO(await pdf(ada, bid)))
    told = text(await pdf(ada, bid))
    assert len(document.pages) > 3
    assert f"Page {len(document.pages)} of {len(document.pages)}" in told
    assert told.count("o") >= 4000, "nothing is cut off"
