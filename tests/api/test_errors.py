"""Every error is problem details, the framework's own included; none is a 500."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.database import Database
from backend.main import create_app
from backend.services import users
from tests.factories.people import API, Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

JSON = {"content-type": "application/json"}


async def test_an_unknown_path_is_a_404_for_everyone(world: World) -> None:
    ada = await world.advertiser()
    for person in (world.nobody, ada):
        for path in ("/nothing", "/bids/x/y/z", "/../../etc/passwd", "/%00"):
            refused(await person.get(path), 404, "not_found")


async def test_a_wrong_method_says_every_right_one(world: World) -> None:
    for path, allowed in {
        "/bids": {"GET", "HEAD"},
        "/slots": {"GET", "HEAD", "POST"},
        "/projects": {"GET", "HEAD", "POST"},
        "/slots/1": {"GET", "HEAD", "PATCH", "DELETE"},
        "/auth/login": {"POST"},
    }.items():
        answer = await world.nobody.put(path)
        refused(answer, 405, "method_not_allowed")
        assert allowed <= set(answer.headers["allow"].split(", "))
        assert "PUT" not in answer.headers["allow"]


async def test_a_path_of_its_own_is_no_id(world: World) -> None:
    """`/skus/bulk` has the methods of an import, not those of a SKU with a strange id."""
    mo = await world.merchant()
    for method in ("GET", "PATCH", "DELETE"):
        answer = await mo.call(method, "/skus/bulk")
        refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "BREW"])
async def test_an_odd_method_is_a_405(world: World, method: str) -> None:
    refused(await world.nobody.call(method, "/slots"), 405)


async def test_nobody_is_sent_to_another_address(world: World) -> None:
    """A slash too many leads nowhere; a redirect would repeat whatever host the caller claimed."""
    ada = await world.advertiser()
    refused(await ada.get("/slots/", headers={"Host": "evil.example"}), 404)


@pytest.mark.parametrize("path", ["/slots/1", "/bids/not-an-id", "/skus/%F0%9F%8D%BF", "/projects/%00", "/bids/None"])
async def test_an_id_that_is_none_is_not_there(world: World, path: str) -> None:
    refused(await (await world.creator()).get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"{'email': 1}", 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"email": "\xff"}', 400),
        (b"[" * 100_000 + b"]" * 100_000, 400),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, 400),
        (b'{"email": NaN}', 422),
        (b'{"email": Infinity}', 422),
        (b'{"email": -Infinity}', 422),
        (b'{"email": ' + b"9" * 5000 + b"}", 422),
        (b'{"email": 1e400}', 422),
        (b'{"email": "a@b.example", "email": "c@d.example"}', 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"7", 422),
        (b"{}", 422),
        (b'{"email": "\\ud800@example.com", "password": "x"}', 422),
        (b'{"email": "a\\u0000@example.com", "password": "x"}', 422),
    ],
    ids=range(20),
)
async def test_a_body_that_cannot_be_taken_says_so(world: World, body: bytes, status: int) -> None:
    for path in ("/auth/login", "/auth/signup"):
        answer = await world.nobody.post(path, content=body, headers=JSON)
        if (path == "/auth/login" and b"u0000" in body) or b"ud800" in body:
            assert answer.status_code in (401, 422), answer.text
        else:
            refused(answer, status)


async def test_a_422_names_the_field_and_never_the_value(world: World) -> None:
    cleo = await world.creator()
    answer = await cleo.post("/slots", {"projectId": "planted-secret", "pricingFloor": "planted-secret", "x": 1})
    problem = refused(answer, 422, "invalid", "projectId")
    assert {"field": "x", "message": "is not a field of this call"} in problem["errors"]
    assert "planted-secret" not in answer.text


async def test_another_media_type_is_a_415(world: World) -> None:
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"):
        answer = await world.nobody.post("/auth/login", content=b"{}", headers={"content-type": kind})
        refused(answer, 415, "unsupported_media_type")


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * 65536


async def test_a_body_above_the_limit_is_a_413_whole_or_chunked(world: World) -> None:
    large = json.dumps({"email": "x" * 2 * 1024 * 1024}).encode()
    refused(await world.nobody.post("/auth/login", content=large, headers=JSON), 413, "too_large")
    chunked = await world.nobody.post("/auth/login", content=_pieces(40), headers=JSON)
    refused(chunked, 413, "too_large")
    cleo = await world.creator()
    refused(await cleo.post("/slots", content=_pieces(40), headers=JSON), 413, "too_large")
    refused(await cleo.post("/slots", content=large, headers=JSON), 413, "too_large")


async def test_signing_in_is_judged_before_the_body(world: World) -> None:
    for content in (b"{", b" " * 2 * 1024 * 1024, b""):
        refused(await world.nobody.post("/slots", content=content, headers=JSON), 401)
    refused(await world.nobody.post("/slots", content=b"x", headers={"content-type": "text/plain"}), 401)


async def test_a_401_says_how_to_sign_in(world: World) -> None:
    answer = await world.nobody.get("/bids")
    refused(answer, 401, "not_signed_in")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_busy_service_says_when_to_come_back(world: World, database: Database) -> None:
    ada = await world.advertiser()
    database.settings = database.settings.model_copy(update={"db_wait_seconds": 0.05})
    taken = [database.reading() for _ in range(database.settings.db_pool_size)]
    for each in taken:
        await each.__aenter__()
    answer = await ada.get("/bids")
    refused(answer, 503, "busy")
    assert int(answer.headers["retry-after"]) >= 1
    for each in taken:
        await each.__aexit__(None, None, None)
    ok(await ada.get("/bids"))


@pytest.fixture
async def stranded(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A service whose database is not there."""
    nowhere = SecretStr("postgresql://backdrop@127.0.0.1:1/backdrop")
    app: FastAPI = create_app(settings.model_copy(update={"database_url": nowhere, "db_wait_seconds": 1.0}))
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://backdrop.test") as client,
    ):
        yield client


async def test_without_its_database_the_service_says_try_again(stranded: httpx2.AsyncClient, world: World) -> None:
    ada = await world.advertiser()
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/bids", {}),
        ("POST", "/bids/0199a3c0-0000-7000-8000-000000000001/approve", {}),
        ("POST", "/auth/login", {"json": {"email": "a@example.com", "password": "x" * 8}}),
    ]
    for method, path, more in calls:
        answer = await Person(stranded, ada.token).call(method, path, **more)
        refused(answer, 503, "database_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert "127.0.0.1" not in answer.text


async def test_a_database_that_comes_back_is_used_again(world: World, sql: asyncpg.Connection[Any]) -> None:
    ada = await world.advertiser()
    await sql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'backdrop' AND datname = current_database()"
    )
    answers = [await ada.get("/bids") for _ in range(3)]
    assert all(each.status_code in (200, 503) for each in answers)
    ok(answers[-1])


async def test_a_failure_of_ours_is_a_500_with_nothing_inside(
    settings: Settings, world: World, monkeypatch: pytest.MonkeyPatch, app: FastAPI
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("planted-secret")

    ada = await world.advertiser()
    monkeypatch.setattr(users, "me", fail)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app, raise_app_exceptions=True), base_url="http://backdrop.test"
    ) as client:
        answer = await client.get(f"{API}/auth/me", headers={"Authorization": f"Bearer {ada.token}"})
    refused(answer, 500, "internal_error")
    assert "planted-secret" not in answer.text
