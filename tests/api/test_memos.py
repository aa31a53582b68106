"""The deal memo: who gets it when, what it says, and that it says it the same way twice."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import pytest
import typst
from pypdf import PdfReader

import backend.integrations.typst
from backend.core.config import DAY, Settings
from backend.core.database import Database
from backend.models.users import Role
from backend.policies.users import Actor
from backend.services import memos
from tests.factories.images import codes_on
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import FOUNTAIN, World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
UNKNOWN = {"issued": False, "issuedAt": None}


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


def attached(document: bytes, name: str) -> str:
    """A file that a memo carries."""
    [content] = PdfReader(io.BytesIO(document)).attachments[name]
    return content.decode()


def sha256(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


async def verified(person: Person, digest: str) -> Any:
    return ok(await person.get(f"/verify/{digest}"))


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
        "sceneId": None,
        "skuIds": [sku["id"]],
        "slotId": slot["id"],
        "termsVersion": 1,
    }
    canonical = json.dumps(terms, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    document = await pdf(mo, bid)
    assert attached(document, "terms.json") == canonical
    assert sha256(canonical) in text(document).replace(" ", "")


async def test_a_memo_states_terms_draft_and_approvals_in_a_file_of_its_own(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    bid = await world.bid(ada, slot)
    first = world.freeze()
    await world.approve(cleo, bid)
    world.advance(minutes=7)
    await world.approve(ada, bid)
    document = await pdf(ada, bid)
    stated = json.loads(attached(document, "memo.json"))
    at = [f"{each:%Y-%m-%dT%H:%M:%S.%fZ}" for each in (first, world.now())]
    assert stated == {
        "approvals": [
            {"at": at[0], "side": "creator", "userId": cleo.id},
            {"at": at[1], "side": "buyer", "userId": ada.id},
        ],
        "draft": {"number": 1, "sha256": sha256(FOUNTAIN)},
        "scene": None,
        "terms": json.loads(attached(document, "terms.json")),
    }
    told = text(document).replace(" ", "")
    for digest in (sha256(attached(document, "memo.json")), sha256(FOUNTAIN)):
        assert digest in told


async def test_anyone_learns_whether_and_when_a_memo_was_issued_and_no_more(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    await world.approve(cleo, bid)
    at = world.freeze()
    await world.approve(ada, bid)
    world.advance(hours=3)
    document = await pdf(ada, bid)
    of_content = sha256(attached(document, "memo.json"))
    told = await verified(world.nobody, of_content)
    assert (set(told), told["issued"]) == ({"issued", "issuedAt"}, True)
    assert told["issuedAt"].startswith(f"{at:%Y-%m-%dT%H:%M:%S}")
    assert await verified(world.nobody, of_content.upper()) == told
    of_file = await verified(world.nobody, sha256(document))
    assert of_file["issuedAt"].startswith(f"{world.now():%Y-%m-%dT%H:%M:%S}"), "when the file first left"
    world.advance(days=1)
    assert await pdf(cleo, bid) == document
    assert await verified(world.nobody, sha256(document)) == of_file
    for other in ("0" * 64, sha256(document + b" "), sha256(attached(document, "terms.json"))):
        assert await verified(world.nobody, other) == UNKNOWN


async def test_what_is_no_digest_is_refused(world: World) -> None:
    for odd in ("x", "a" * 63, "a" * 65, "g" * 64, "٠" * 64, "a" * 64 + "%0A", "%00"):
        refused(await world.nobody.get(f"/verify/{odd}"), 422, field="sha256")


async def test_one_address_asks_sixty_times_a_minute(world: World) -> None:
    world.freeze()
    for _ in range(60):
        assert await verified(world.nobody, "0" * 64) == UNKNOWN
    assert (await world.nobody.get(f"/verify/{'0' * 64}")).status_code == 429
    world.advance(seconds=1)
    assert await verified(world.nobody, "0" * 64) == UNKNOWN


async def test_a_phone_finds_the_way_to_verify_on_the_page(world: World, database: Database) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.accepted(cleo, ada)
    actor = Actor(UUID(ada.id), Role.ADVERTISER)
    memo = await database.change(lambda tx: memos.find(tx, actor, UUID(bid["id"])))
    template = Path(backend.integrations.typst.__file__).with_name("memo.typ")
    inputs = {"data": json.dumps(memo.data)}
    page = typst.compile(template, root=template.parent, format="png", ppi=100.0, sys_inputs=inputs)
    assert isinstance(page, bytes)
    digest = sha256(attached(await pdf(ada, bid), "memo.json"))
    assert codes_on(page) == [f"http://localhost:8000/api/v1/verify/{digest}"]


async def test_production_prints_no_code_until_it_knows_its_address(settings: Settings) -> None:
    production = settings.model_copy(update={"app_env": "production"})
    assert production.address is None
    named = production.model_copy(update={"public_url": "https://api.example.com/"})
    assert named.address == "https://api.example.com"


async def test_what_was_issued_stays_whatever_comes_after(world: World, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    bid = await world.accepted(cleo, ada, await world.slot(cleo, project))
    document = await pdf(ada, bid)
    ok(await cleo.put(f"/projects/{project['id']}/script", files={"file": ("b.fountain", b"INT. BOAT - DAY\n")}))
    assert await pdf(ada, bid) == document
    for change in ("UPDATE memos SET issued_at = now()", "DELETE FROM memo_files", "TRUNCATE memos CASCADE"):
        with pytest.raises(asyncpg.CheckViolationError, match="append-only"):
            await sql.execute(change)
    with pytest.raises(asyncpg.CheckViolationError, match="ck_memos_sha256_of_content"):
        await sql.execute("INSERT INTO memos SELECT bid_id, 1, content || ' ', sha256, issued_at FROM memos")


async def test_an_approval_without_its_memo_does_not_count(world: World, sql: Sql) -> None:
    """Issued in the transaction of the second approval: when it cannot be, nothing is Accepted."""
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    await world.approve(cleo, bid)
    await sql.execute("ALTER TABLE memos ADD CONSTRAINT ck_memos_none CHECK (false)")
    assert (await ada.post(f"/bids/{bid['id']}/approve")).status_code == 500
    assert ok(await ada.get(f"/bids/{bid['id']}"))["status"] == "AwaitingFinalApproval"


async def test_a_deal_of_a_release_without_issued_memos_has_its_own_when_it_is_asked_for(
    world: World, sql: Sql
) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.accepted(cleo, ada)
    document = await pdf(ada, bid)
    digest = sha256(attached(document, "memo.json"))
    before = await verified(world.nobody, digest)
    await sql.execute("SET session_replication_role = replica; DELETE FROM memo_files; DELETE FROM memos")
    assert await verified(world.nobody, digest) == UNKNOWN
    assert await pdf(ada, bid) == document
    assert await verified(world.nobody, digest) == before


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
