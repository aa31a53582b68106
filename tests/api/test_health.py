"""Health and self-description."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.transitions import Machine
from backend.main import create_app
from backend.models.bids import BID_MACHINE, BidStatus
from backend.models.commitments import COMMITMENT_MACHINE
from backend.models.slots import SLOT_MACHINE, Modality
from tests.factories.world import ok


@pytest.mark.parametrize("base", ["", "/api/v1"])
async def test_health_says_that_the_database_is_there(client: httpx2.AsyncClient, base: str) -> None:
    answer = await client.get(f"{base}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "db": "connected"})
    live = await client.get(f"{base}/healthz/live")
    assert (live.status_code, live.json()) == (200, {"status": "ok"})


@pytest.fixture
async def stranded(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A service whose database is not there."""
    nowhere = SecretStr("postgresql://backdrop@127.0.0.1:1/backdrop")
    app = create_app(settings.model_copy(update={"database_url": nowhere}))
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://backdrop.test") as client,
    ):
        yield client


@pytest.mark.parametrize("base", ["", "/api/v1"])
async def test_health_without_a_database_is_degraded_and_live_does_not_mind(
    stranded: httpx2.AsyncClient, base: str
) -> None:
    answer = await stranded.get(f"{base}/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "degraded", "db": "unreachable"})
    assert (await stranded.get(f"{base}/healthz/live")).status_code == 200


async def test_meta_tells_the_closed_sets_and_the_tables_that_enforce(client: httpx2.AsyncClient) -> None:
    meta = ok(await client.get("/api/v1/meta"))
    assert meta["currency"] == "USD"
    assert meta["enums"]["bidStatus"] == [each.value for each in BidStatus]
    assert meta["enums"]["modality"] == [each.value for each in Modality]
    machines: list[Machine] = [BID_MACHINE, SLOT_MACHINE, COMMITMENT_MACHINE]
    assert meta["machines"] == {machine.name: machine.describe() for machine in machines}
    commit = {"action": "commit", "actors": ["buyer"], "from": ["Accepted"], "to": "Committed"}
    assert commit in meta["machines"]["bid"]["transitions"]


async def test_the_documentation_opens_without_another_host(client: httpx2.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    hosts = {each.split("/")[0] for each in page.text.replace("https://", "http://").split("http://")[1:]}
    assert hosts <= {"backdrop.test"}
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"):
        assert f'"swagger/{asset}"' in page.text
        assert (await client.get(f"/swagger/{asset}")).status_code == 200
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "BackDrop"
