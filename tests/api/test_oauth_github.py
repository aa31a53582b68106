"""Signing in with GitHub: no id token, so its API says who it is, and which address is verified."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from backend.core.config import Settings
from tests.factories.browser import Browser, asked
from tests.factories.people import Person
from tests.factories.providers import CLIENT, SECRET, GitHubStand, address
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def settings(settings: Settings, httpserver: HTTPServer) -> Settings:
    base = httpserver.url_for("").rstrip("/")
    more = {"github_client_id": CLIENT, "github_client_secret": SecretStr(SECRET)}
    return settings.model_copy(update={**more, "github_url": base, "github_api_url": f"{base}/api/v3/"})


@pytest.fixture
def github(httpserver: HTTPServer) -> GitHubStand:
    return GitHubStand(httpserver)


@pytest.fixture
def browser(app: FastAPI) -> Browser:
    return Browser(app)


async def crossed(browser: Browser, github: GitHubStand, **query: str) -> Any:
    """The whole way: there, back, and the frontend's question."""
    where = await browser.leave("github", **query)
    code = await browser.arrive("github", code=github.consent(where), state=asked(where)["state"])
    return await browser.take(code)


async def test_a_newcomer_gets_an_account_and_is_known_again_by_the_number(
    world: World, browser: Browser, github: GitHubStand, sql: Sql
) -> None:
    answer = ok(await crossed(browser, github, role="Merchant"))
    user = answer["user"]
    assert (user["email"], user["name"], user["role"]) == ("octo@example.com", "Octo Cat", "Merchant")
    assert user["emailVerifiedAt"]
    assert user["merchantProfile"]["eligibilityRules"] == []
    [identity] = ok(await Person(world.client, answer["token"]).get("/auth/identities"))
    assert identity["provider"] == "github"
    assert await sql.fetchval("SELECT subject FROM identities") == "583231"
    github.user = {"id": 583231, "login": "renamed", "name": None}
    github.emails = []
    assert ok(await crossed(browser, github))["user"] == user
    github.user = {"id": 99, "login": "octo", "name": None}  # the login that was given up, taken by another
    refused(await crossed(browser, github, role="Creator"), 409, "address_not_verified_there")


async def test_the_way_there_has_pkce_and_asks_for_addresses(browser: Browser, github: GitHubStand) -> None:
    where = await browser.leave("github")
    assert where.startswith(github.server.url_for("/login/oauth/authorize?"))
    request = asked(where)
    assert request["scope"] == "read:user user:email"
    assert request["code_challenge_method"] == "S256"
    assert request["redirect_uri"] == "http://backdrop.test/api/v1/auth/oauth/github/callback"
    github.consent(where)
    github.challenge = "x" * 43  # as if another had asked: our verifier does not fit
    code = await browser.arrive("github", code=next(iter(github.codes)), state=request["state"])
    refused(await browser.take(code), 409, "provider_refused")


ODD_ADDRESSES: list[list[Any]] = [
    [],
    [address("ada@example.com", verified=False)],
    [address("ada@example.com", primary=False), address("other@example.com", verified=False)],
    [{"email": "ada@example.com", "primary": True, "verified": "true"}],
    [{"email": ["ada@example.com"], "primary": True, "verified": True}],
    [{"email": "ada@example.com"}],
    ["ada@example.com", None, 5],
]


async def test_only_the_verified_primary_address_counts(
    world: World, browser: Browser, github: GitHubStand, sql: Sql
) -> None:
    await world.sign_up("Advertiser", email="ada@example.com")
    await sql.execute("UPDATE users SET email_verified_at = now()")
    github.user["email"] = "ada@example.com"  # what a profile shows is proven by nobody
    for github.emails in ODD_ADDRESSES:
        refused(await crossed(browser, github, role="Creator"), 409, "address_not_verified_there")
    assert await sql.fetchval("SELECT count(*) FROM identities") == 0


async def test_another_ones_address_is_linked_only_when_both_sides_verified_it(
    world: World, browser: Browser, github: GitHubStand, sql: Sql
) -> None:
    ada = await world.sign_up("Advertiser", email="ada@example.com")
    github.emails = [address("other@example.com", primary=False), address("ADA@example.com")]
    refused(await crossed(browser, github, role="Creator"), 409, "address_not_confirmed")
    await sql.execute("UPDATE users SET email_verified_at = now()")
    assert ok(await crossed(browser, github))["user"]["id"] == ada.id


async def test_both_providers_can_be_linked_to_one_account(
    world: World, browser: Browser, github: GitHubStand, sql: Sql
) -> None:
    answer = ok(await crossed(browser, github, role="Creator"))
    ada = Person(world.client, answer["token"], answer["user"])
    await sql.execute("INSERT INTO identities SELECT gen_random_uuid(), id, 'google', 's', now() FROM users")
    assert [each["provider"] for each in ok(await ada.get("/auth/identities"))] == ["google", "github"]
    assert len(ok(await ada.get("/auth/identities", params={"limit": 1}))) == 1


async def test_a_name_is_one_line_of_text(browser: Browser, github: GitHubStand) -> None:
    names: list[tuple[Any, str]] = [
        ("  Ada\n\tByron\x00 ", "Ada Byron"),
        ("", "octo"),
        (None, "octo"),
        (5, "octo4"),
        ("\u202e\u200b", "octo5"),
        ("x" * 5000, "x" * 200),
    ]
    for number, (name, kept) in enumerate(names, 1):
        github.user |= {"id": number, "name": name}
        github.emails = [address(f"octo{number}@example.com")]
        assert ok(await crossed(browser, github, role="Creator"))["user"]["name"] == kept


async def test_only_what_is_configured_is_offered(browser: Browser) -> None:
    assert ok(await browser.get("/auth/oauth/providers")) == [{"name": "github", "title": "GitHub"}]
    refused(await browser.get("/auth/oauth/google", challenge=browser.challenge), 404)
