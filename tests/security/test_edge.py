"""The edge (S17): what every answer carries, who may read it from another origin, and what never gets in."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from backend.core.config import Settings
from backend.main import create_app
from tests.factories.refusals import refused
from tests.factories.world import World, ok

ORIGIN = "http://localhost:5173"


@asynccontextmanager
async def served(settings: Settings, **changes: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A service with other settings."""
    app = create_app(settings.model_copy(update=changes))
    transport = httpx2.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        yield client


def must_be_hardened(response: httpx2.Response) -> None:
    headers = response.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    for directive in ("default-src", "object-src", "base-uri", "form-action", "frame-ancestors"):
        assert f"{directive} 'none'" in headers["content-security-policy"]
    assert "camera=()" in headers["permissions-policy"]
    assert headers["x-request-id"]
    assert "server" not in headers
    for name in headers:
        assert len(headers.get_list(name)) == 1 or name == "vary", f"{name} stands twice"


async def test_every_kind_of_answer_is_hardened_and_kept_by_no_cache(world: World) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    answers = [
        await cleo.get("/auth/me"),
        await cleo.get("/projects"),
        await cleo.get(f"/projects/{project['id']}/script"),
        await world.client.get(project["docLink"]),
        await cleo.get("/nowhere"),
        await cleo.delete("/projects"),
        await cleo.post("/slots", {}),
        await cleo.post("/slots", content=b"{", headers={"content-type": "application/json"}),
        await cleo.post("/slots", content=b"x" * 2_000_000, headers={"content-type": "application/json"}),
        await world.nobody.get("/auth/me"),
        await world.client.get("/healthz"),
        await world.client.get("/docs"),
        await world.client.get("/openapi.json"),
        await world.client.request("OPTIONS", "/api/v1/slots"),
    ]
    for response in answers:
        must_be_hardened(response)
        assert "no-store" in response.headers["cache-control"]
        assert "strict-transport-security" not in response.headers, "only where HTTPS is certain"


async def test_production_asks_browsers_for_https(settings: Settings) -> None:
    async with served(settings, app_env="production", public_url="https://api.example.com") as client:
        for path in ("/healthz", "/api/v1/auth/me", "/nowhere"):
            value = (await client.get(path)).headers["strict-transport-security"]
            assert int(value.removeprefix("max-age=").split(";")[0]) >= 365 * 24 * 3600


# The page of the documentation.


async def test_the_docs_page_may_run_its_own_scripts_and_no_other(world: World) -> None:
    page = await world.client.get("/docs")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(inline) == 1
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    assert policy["script-src"].split() == ["'self'", f"'sha256-{digest}'"]
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert "//" not in address, "nothing comes from another host"
        assert (await world.client.get(f"/{address}")).status_code == 200
    assert " onclick=" not in page.text


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize("enabled", [True, False, None])
async def test_the_docs_can_be_switched(settings: Settings, env: str, enabled: bool | None) -> None:
    shown = enabled if enabled is not None else env == "development"
    async with served(settings, app_env=env, docs_enabled=enabled) as client:
        for path in ("/docs", "/openapi.json", "/swagger/swagger-ui.css", "/"):
            response = await client.get(path)
            assert (response.status_code < 400) == shown, path
            if not shown:
                refused(response, 404)


async def test_no_folder_is_listed(world: World) -> None:
    for path in ("/swagger", "/swagger/", "/uploads/", "/.git/config", "/swagger/%2e%2e/pyproject.toml"):
        refused(await world.client.get(path), 404)


# Other origins.


async def test_a_named_origin_may_read_answers_and_no_other_may(world: World) -> None:
    ada = await world.advertiser()
    named = await ada.get("/auth/me", headers={"Origin": ORIGIN})
    assert named.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in named.headers["vary"].lower()
    assert {"etag", "x-request-id", "retry-after", "x-ratelimit-remaining"} <= set(
        named.headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
    )
    for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example", "http://localhost:5174", "*"):
        for response in (
            await ada.get("/auth/me", headers={"Origin": origin}),
            await ada.get("/nowhere", headers={"Origin": origin}),
            await preflight(world, origin),
        ):
            assert "access-control-allow-origin" not in response.headers
    assert "access-control-allow-credentials" not in named.headers, "tokens travel in a header, never in a cookie"


async def preflight(
    world: World, origin: str, method: str = "PATCH", headers: str = "authorization"
) -> httpx2.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return await world.client.request("OPTIONS", "/api/v1/slots", headers=asked)


async def test_a_preflight_allows_what_the_contract_needs(world: World) -> None:
    headers = "authorization, content-type, idempotency-key, if-match"
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        response = await preflight(world, ORIGIN, method, headers)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == ORIGIN
    assert (await preflight(world, ORIGIN, "TRACE")).status_code == 400
    assert (await preflight(world, ORIGIN, headers="x-secret")).status_code == 400


# What never gets in.


async def test_an_address_too_long_and_headers_too_large_are_refused_as_problems(world: World) -> None:
    ada = await world.advertiser()
    refused(await ada.get("/slots", params={"q": "x" * 9000}), 414, "uri_too_long")
    refused(await ada.get(f"/slots/{'x' * 9000}"), 414, "uri_too_long")
    refused(await ada.get("/slots", headers={"X-Much": "x" * 140_000}), 431, "headers_too_large")
    refused(await ada.get("/slots", headers={f"X-{number}": "x" for number in range(120)}), 431, "headers_too_large")
    ok(await ada.get("/slots", headers={"X-Much": "x" * 10_000}))


async def test_a_body_too_large_is_refused_whether_or_not_it_says_so(world: World) -> None:
    ada = await world.advertiser()
    headers = {"content-type": "application/json"}
    refused(await ada.patch("/auth/me", None, content=b"x" * 1_100_000, headers=headers), 413, "too_large")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 20_000

    refused(await ada.patch("/auth/me", None, content=chunks(), headers=headers), 413, "too_large")


async def test_a_token_of_any_size_is_judged_as_a_token(world: World) -> None:
    for token in ("x" * 100_000, "é", "a.b.c", ".".join(["x" * 30_000] * 3)):
        headers = {"Authorization": f"Bearer {token}".encode()}
        refused(await world.nobody.get("/auth/me", headers=headers), 401)


@pytest.mark.parametrize("value", ["short", "has blank in it", "x" * 65, "semi;colon!", "newline\\n12345"])
async def test_an_odd_request_id_is_replaced(world: World, value: str) -> None:
    response = await world.client.get("/healthz", headers={"X-Request-ID": value})
    assert response.headers["x-request-id"] != value
    kept = await world.client.get("/healthz", headers={"X-Request-ID": "a-plain-one.1"})
    assert kept.headers["x-request-id"] == "a-plain-one.1"


async def test_settings_never_show_a_secret(settings: Settings) -> None:
    settings = settings.model_copy(update={"jwt_secret": SecretStr("planted-secret-planted-secret-planted")})
    assert "planted" not in f"{settings!r} {settings} {settings.model_dump_json()}"
