"""The demo: a whole world on an empty installation, once, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import httpx2
import pytest
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.database import Database
from backend.core.errors import Conflict
from backend.models.bids import BidStatus
from backend.models.commitments import CommitmentStatus
from backend.models.slots import Modality, SlotType
from backend.services import demo, invariants
from tests.factories.people import Person
from tests.factories.world import World, ok


async def sign_in(client: httpx2.AsyncClient, who: str) -> Person:
    login = {"email": f"{who}@demo.example.com", "password": demo.PASSWORD}
    answer = ok(await client.post("/api/v1/auth/login", json=login))
    return Person(client, answer["token"], answer["user"])


async def test_the_demo_shows_every_state_and_breaks_nothing(
    dsn: str, settings: Settings, client: httpx2.AsyncClient, database: Database
) -> None:
    assert await demo.fill(dsn, settings) is True
    olga = await sign_in(client, "operator")
    seen = ok(await olga.get("/operator/overview"))
    assert seen["usersByRole"] == {"Creator": 1, "Advertiser": 3, "Merchant": 1, "Operator": 1}
    assert all(seen["slotsByStatus"].values())
    assert all(seen["bidsByStatus"][status.value] for status in BidStatus)
    assert all(
        seen["commitmentsByStatus"][status.value]["count"] == 1 + (status in ("Active", "Delivered"))
        for status in CommitmentStatus
    )
    assert len(seen["holdsEndingSoon"]) == 1
    assert len(seen["deliveriesOverdue"]) == 1
    reasons = {each["declineReason"] for each in ok(await olga.get("/bids", params={"status": "Declined"}))}
    assert reasons == {"price", "withdrawn", "expired", "hold_expired", "slot_sold", "cancelled"}
    async with database.reading() as db:
        assert [count for _, count in await invariants.violations(db)] == [0] * 8


async def test_the_demo_sells_every_type_in_both_modalities_from_three_kinds_of_script(
    dsn: str, settings: Settings, client: httpx2.AsyncClient
) -> None:
    await demo.fill(dsn, settings)
    cleo = await sign_in(client, "creator")
    slots = ok(await cleo.get("/slots"))
    assert {(each["type"], each["modality"]) for each in slots} == {
        (kind.value, modality.value) for kind in SlotType for modality in Modality
    }
    assert {each["visibility"] for each in slots} == {"Public", "Private"}
    kinds = set()
    for project in ok(await cleo.get("/projects")):
        script = await cleo.get(f"/projects/{project['id']}/script")
        assert script.is_success
        kinds.add(script.headers["content-type"])
    assert kinds == {"application/pdf", "application/xml", "text/plain; charset=utf-8"}
    mo = await sign_in(client, "merchant")
    assert len(ok(await mo.get("/skus"))) == 10


async def test_the_rivalry_is_sealed(dsn: str, settings: Settings, client: httpx2.AsyncClient) -> None:
    await demo.fill(dsn, settings)
    cleo = await sign_in(client, "creator")
    [slot] = [each for each in ok(await cleo.get("/slots")) if each["sceneRef"] == "Scene 5, the lantern room"]
    bids = ok(await cleo.get("/bids", params={"slotId": slot["id"]}))
    assert sorted((each["status"], each["holdsSlot"]) for each in bids) == [
        ("AwaitingFinalApproval", True),
        ("Pending", False),
        ("Pending", False),
    ]
    for who in ("advertiser", "rival", "merchant"):
        buyer = await sign_in(client, who)
        assert len(ok(await buyer.get("/bids", params={"slotId": slot["id"]}))) == 1


async def test_stats_and_memos_of_the_demo_agree_with_its_deals(
    dsn: str, settings: Settings, client: httpx2.AsyncClient
) -> None:
    await demo.fill(dsn, settings)
    cleo = await sign_in(client, "creator")
    stats = ok(await cleo.get("/commitments/stats"))
    spent = [each["amount"] for each in ok(await cleo.get("/commitments")) if each["status"] != "Cancelled"]
    assert stats["totalCommitted"] == sum(spent) == 64400
    assert stats["totalCompleted"] == 14500
    for bid in ok(await cleo.get("/bids")):
        memo = await cleo.get(f"/bids/{bid['id']}/memo")
        agreed = bid["status"] in ("Accepted", "Committed") or bid["declineReason"] == "cancelled"
        assert memo.status_code == (200 if agreed else 409)


async def test_histories_lie_in_the_past_and_in_order(
    dsn: str, settings: Settings, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    await demo.fill(dsn, settings)
    assert await sql.fetchval("SELECT count(*) FROM events WHERE at > now()") == 0
    assert await sql.fetchval("SELECT now() - min(at) > interval '129 days' FROM events")
    disorder = "SELECT count(*) FROM (SELECT at < lag(at) OVER (ORDER BY id) AS back FROM events) e WHERE back"
    assert await sql.fetchval(disorder) == 0


async def test_filling_twice_changes_nothing(
    dsn: str, settings: Settings, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    await demo.fill(dsn, settings)
    events = await sql.fetchval("SELECT count(*) FROM events")
    files = len(list(settings.uploads.iterdir()))
    assert await demo.fill(dsn, settings) is False
    assert await sql.fetchval("SELECT count(*) FROM events") == events
    assert len(list(settings.uploads.iterdir())) == files == 5


async def test_an_installation_with_other_accounts_is_left_alone(world: World, dsn: str, settings: Settings) -> None:
    await world.creator()
    with pytest.raises(Conflict, match="empty installation"):
        await demo.fill(dsn, settings)


async def test_production_is_refused(dsn: str, tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        app_env="production",
        database_url=SecretStr(dsn),
        data_dir=tmp_path,
        jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
    )
    with pytest.raises(Conflict, match="production"):
        await demo.fill(dsn, settings)


async def test_a_failure_leaves_neither_rows_nor_files(
    dsn: str, settings: Settings, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    await sql.execute("""
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON commitments DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()
    """)
    with pytest.raises(asyncpg.RaiseError):
        await demo.fill(dsn, settings)
    assert await sql.fetchval("SELECT count(*) FROM users") == 0
    assert list(settings.uploads.iterdir()) == []


async def test_the_merchants_catalogue_matches_slots_with_reasons(
    dsn: str, settings: Settings, client: httpx2.AsyncClient
) -> None:
    await demo.fill(dsn, settings)
    cleo, mo = await sign_in(client, "creator"), await sign_in(client, "merchant")
    skus = {each["externalId"]: each for each in ok(await mo.get("/skus"))}
    found = {
        name: [
            (each["slot"]["sceneRef"], each["matched"], each["categories"])
            for each in ok(await mo.get(f"/skus/{skus[name]['id']}/matches"))
        ]
        for name in ("MO-1007", "MO-1009", "MO-1010", "MO-1003")
    }
    assert ("Scene 2, the office", ["office"], []) in found["MO-1007"], "a laptop"
    assert ("Scene 4, the town hall", ["blender"], ["Household Appliances"]) in found["MO-1009"], "a blender"
    assert ("Scene 5, the bread", ["bread"], ["Bakery"]) in found["MO-1010"], "oil for bread"
    failing = ok(await mo.get(f"/skus/{skus['MO-1003']['id']}/matches", params={"failing": True}))
    [coat] = [each for each in failing if each["slot"]["sceneRef"] == "Scene 1, the platform"]
    assert [each["detail"] for each in coat["rules"] if not each["passed"]] == ["This slot is sold."]
    [hall] = [each for each in ok(await cleo.get("/slots")) if each["sceneRef"] == "Scene 4, the town hall"]
    offered = [each["sku"]["title"] for each in ok(await cleo.get(f"/slots/{hall['id']}/matches"))]
    assert "Blender Vortice" in offered


async def test_the_demo_goes_from_script_to_slots(dsn: str, settings: Settings, client: httpx2.AsyncClient) -> None:
    await demo.fill(dsn, settings)
    cleo, mo = await sign_in(client, "creator"), await sign_in(client, "merchant")
    projects = {each["title"]: each for each in ok(await cleo.get("/projects"))}
    assert {each["scriptStatus"] for each in projects.values()} == {"ready"}

    harbour = f"/projects/{projects['Harbour Lights']['id']}/slot-suggestions"
    taken = {each["category"]["name"]: each["slotId"] for each in ok(await cleo.get(harbour)) if each["slotId"]}
    assert set(taken) == {"Household Appliances", "Bakery"}
    kettle = ok(await mo.get(f"/slots/{taken['Household Appliances']}"))
    assert kettle["description"] == "Household Appliances: kettle"
    assert kettle["sceneRef"].endswith("INT. HARBOUR POLICE - OFFICE - DAY")

    [cut] = ok(await cleo.get("/slots", params={"sceneStatus": "omitted"}))
    assert cut["sceneRef"] == "Scene 5, the viaduct"
    [deal] = ok(await cleo.get("/bids", params={"slotId": cut["id"]}))
    assert (deal["status"], deal["sceneStatus"]) == ("Committed", "omitted")
    history = ok(await cleo.get(f"/bids/{deal['id']}/events"))
    [flagged] = [each for each in history if each["action"] == "bid.scene_flagged"]
    assert flagged["data"] == {"draft": 2, "sceneStatus": "omitted"}
