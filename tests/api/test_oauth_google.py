"""Signing in with an OpenID Connect provider that is not ours, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.limits import Limit
from backend.dependencies.limits import OAUTH
from backend.routers import identities as routers
from tests.factories.browser import Browser, asked, code_of
from tests.factories.mailbox import Mailbox
from tests.factories.people import Person
from tests.factories.providers import CLIENT, SECRET, oidc_provider, oidc_settings
from tests.factories.refusals import refused
from tests.factories.world import PASSWORD, World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
EMAIL = "ada@example.com"
pytestmark = pytest.mark.filterwarnings("ignore:get_jwt_config")  # the provider's own


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider() as address:
        yield address


@pytest.fixture
def settings(settings: Settings, provider: str) -> Settings:
    more = {"google_client_id": CLIENT, "google_client_secret": SecretStr(SECRET)}
    return settings.model_copy(update={**more, **oidc_settings(provider)})


@pytest.fixture
def browser(app: FastAPI) -> Browser:
    return Browser(app)


async def known(provider: str, subject: str, **claims: Any) -> None:
    """Let the provider know somebody."""
    said = {"email": EMAIL, "email_verified": True, "name": "Ada Byron", **claims}
    async with httpx2.AsyncClient(verify=False) as http:  # loopback
        (await http.put(f"{provider}/users/{subject}", json=said)).raise_for_status()


async def consent(address: str, subject: str) -> dict[str, str]:
    """The person says yes on the provider's page: what the browser brings back."""
    async with httpx2.AsyncClient(verify=False) as http:  # loopback
        answer = await http.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith("http://backdrop.test/api/v1/auth/oauth/google/callback?")
    return asked(answer.headers["location"])


async def crossed(browser: Browser, subject: str, **query: str) -> httpx2.Response:
    """The whole way: there, back, and the frontend's question."""
    back = await consent(await browser.leave("google", **query), subject)
    return await browser.take(await browser.arrive("google", **back))


async def verify(world: World, mailbox: Mailbox) -> None:
    """Prove the newest account's address."""
    token = mailbox.token((await mailbox.verifications())[-1])
    ok(await world.nobody.post("/auth/verify-email", {"token": token}))


async def test_a_newcomer_gets_an_account_with_the_role_that_was_asked_for(
    world: World, browser: Browser, provider: str, sql: Sql
) -> None:
    await known(provider, "s-1")
    answer = ok(await crossed(browser, "s-1", role="Creator"))
    assert set(answer) == {"token", "refreshToken", "expiresIn", "user"}
    user = answer["user"]
    assert (user["email"], user["name"], user["role"]) == (EMAIL, "Ada Byron", "Creator")
    assert user["emailVerifiedAt"], "the provider has verified it"
    ada = Person(world.client, answer["token"], user, answer["refreshToken"])
    assert ok(await ada.get("/auth/me")) == user
    [session] = ok(await ada.get("/auth/sessions"))
    assert session["current"]
    [identity] = ok(await ada.get("/auth/identities"))
    assert identity["provider"] == "google"
    events = [tuple(row) for row in await sql.fetch("SELECT action, subject_id::text FROM events ORDER BY at, id")]
    assert events == [(each, user["id"]) for each in ("user.created", "identity.linked")]
    opened = await sql.fetchrow("SELECT action, subject_id::text, client IS NOT NULL FROM security_events")
    assert opened is not None
    assert tuple(opened) == ("session.opened", user["id"], True), "as any sign-in"
    assert await sql.fetchval("SELECT data->>'provider' FROM events WHERE action = 'identity.linked'") == "google"
    assert await sql.fetchval("SELECT count(*) FROM mails") == 0, "there is nothing left to prove"
    text = await sql.fetchval("SELECT string_agg(e::text, ' ') FROM events e")
    assert "s-1" not in text
    assert await sql.fetchval("SELECT count(*) FROM sign_ins") == 0


async def test_who_came_before_is_known_by_the_subject_whatever_the_address_is_now(
    world: World, browser: Browser, provider: str, sql: Sql
) -> None:
    await known(provider, "s-2")
    first = ok(await crossed(browser, "s-2", role="Merchant"))
    for change in ({"email": "other@example.com"}, {"email_verified": False}, {"name": "Countess"}):
        await known(provider, "s-2", **change)
        again = ok(await crossed(browser, "s-2", role="Creator"))
        assert again["user"] == first["user"], "neither name, address nor role follows the provider"
    assert await sql.fetchval("SELECT count(*) FROM users") == 1


async def test_no_role_no_new_account(world: World, browser: Browser, provider: str, sql: Sql) -> None:
    await known(provider, "s-3")
    refused(await crossed(browser, "s-3"), 409, "role_needed")
    refused(await browser.get("/auth/oauth/google", challenge=browser.challenge, role="Operator"), 422, field="role")
    assert await sql.fetchval("SELECT count(*) FROM users") == 0


async def test_an_account_is_linked_when_both_sides_have_verified_the_address(
    world: World, browser: Browser, provider: str, mailbox: Mailbox, sql: Sql
) -> None:
    ada = await world.sign_up("Advertiser", email="Ada@Example.com")
    await known(provider, "s-4")
    problem = refused(await crossed(browser, "s-4", role="Advertiser"), 409, "address_not_confirmed")
    assert "Sign in with your password, confirm the address" in problem["detail"]
    assert ok(await ada.get("/auth/identities")) == []
    await verify(world, mailbox)
    answer = ok(await crossed(browser, "s-4", role="Creator"))
    assert answer["user"]["id"] == ada.id
    assert answer["user"]["role"] == "Advertiser"
    assert len(ok(await ada.get("/auth/identities"))) == 1
    assert await sql.fetchval("SELECT count(*) FROM identities") == 1
    await world.log_in("ada@example.com")  # the password stays good


@pytest.mark.parametrize("there", [True, False])
async def test_an_address_that_the_provider_has_not_verified_links_and_makes_nothing(
    world: World, browser: Browser, provider: str, mailbox: Mailbox, sql: Sql, there: bool
) -> None:
    """Else anybody could take an account by naming its address at a provider that does not check."""
    if there:
        await world.sign_up("Advertiser", email=EMAIL)
        await verify(world, mailbox)
    for odd in (False, "true", 1):
        await known(provider, "s-5", email_verified=odd)
        refused(await crossed(browser, "s-5", role="Creator"), 409, "address_not_verified_there")
    assert await sql.fetchval("SELECT count(*) FROM identities") == 0
    assert await sql.fetchval("SELECT count(*) FROM users") == int(there)


async def test_an_address_that_sign_up_would_not_take_is_none(browser: Browser, provider: str, sql: Sql) -> None:
    for email in ("", "no address", "a@b", "x" * 330 + "@example.com", "a\x00@example.com"):
        await known(provider, "s-6", email=email)
        refused(await crossed(browser, "s-6", role="Creator"), 409, "address_not_verified_there")
    assert await sql.fetchval("SELECT count(*) FROM users") == 0


async def test_a_second_google_account_with_the_same_address_is_not_linked(
    world: World, browser: Browser, provider: str, sql: Sql
) -> None:
    """An address can be given to another person at the provider; a subject cannot."""
    await known(provider, "s-7")
    first = ok(await crossed(browser, "s-7", role="Creator"))
    await known(provider, "s-8")
    refused(await crossed(browser, "s-8", role="Creator"), 409, "another_identity_linked")
    ada = Person(world.client, first["token"], first["user"])
    [identity] = ok(await ada.get("/auth/identities"))
    assert (await ada.delete(f"/auth/identities/{identity['id']}")).status_code == 204
    assert ok(await crossed(browser, "s-8"))["user"]["id"] == ada.id
    assert await sql.fetchval("SELECT array_agg(subject) FROM identities") == ["s-8"]


async def test_the_deactivated_and_the_deleted_are_refused(
    world: World, browser: Browser, provider: str, sql: Sql
) -> None:
    await known(provider, "s-9")
    first = ok(await crossed(browser, "s-9", role="Creator"))
    olga = await world.operator()
    ok(await olga.patch(f"/operator/users/{first['user']['id']}", {"isActive": False}))
    refused(await crossed(browser, "s-9", role="Creator"), 403, "account_inactive")
    await sql.execute("DELETE FROM identities")
    refused(await crossed(browser, "s-9", role="Creator"), 403, "account_inactive")
    ok(await olga.patch(f"/operator/users/{first['user']['id']}", {"isActive": True}))
    ada = Person(world.client, ok(await crossed(browser, "s-9"))["token"])
    ok(await ada.delete("/auth/me"))
    assert await sql.fetchval("SELECT count(*) FROM identities") == 0, "leaving takes them along"
    again = ok(await crossed(browser, "s-9", role="Merchant"))
    assert again["user"]["id"] != first["user"]["id"], "who left comes back as somebody new"


async def test_operators_sign_in_with_their_password(world: World, browser: Browser, provider: str, sql: Sql) -> None:
    olga = await world.operator()
    await sql.execute("UPDATE users SET email_verified_at = now()")
    assert olga.user
    await known(provider, "s-10", email=olga.user["email"])
    refused(await crossed(browser, "s-10", role="Creator"), 403, "operator_needs_password")
    await sql.execute("INSERT INTO identities SELECT gen_random_uuid(), id, 'google', 's-10', now() FROM users")
    refused(await crossed(browser, "s-10"), 403, "operator_needs_password")


async def test_an_account_without_a_password_takes_none_until_one_is_set_by_mail(
    world: World, browser: Browser, provider: str, mailbox: Mailbox
) -> None:
    await known(provider, "s-11")
    ok(await crossed(browser, "s-11", role="Creator"))
    for password in ("!", "", PASSWORD):
        refused(await world.nobody.post("/auth/login", {"email": EMAIL, "password": password}), 401)
    ok(await world.nobody.post("/auth/forgot-password", {"email": EMAIL}))
    token = mailbox.token((await mailbox.delivered())[-1])
    ok(await world.nobody.post("/auth/reset-password", {"token": token, "newPassword": PASSWORD}))
    await world.log_in(EMAIL)


async def test_of_two_first_sign_ins_at_once_one_makes_the_account(app: FastAPI, provider: str, sql: Sql) -> None:
    await known(provider, "s-12")
    answers = await asyncio.gather(*(crossed(Browser(app), "s-12", role="Creator") for _ in range(4)))
    assert {each.status_code for each in answers} <= {200, 409}
    assert 200 in {each.status_code for each in answers}
    assert await sql.fetchval("SELECT count(*) FROM users") == 1
    assert await sql.fetchval("SELECT count(*) FROM identities") == 1


async def test_a_subject_that_another_sign_in_links_at_the_same_moment_is_a_conflict(
    world: World, browser: Browser, provider: str, sql: Sql
) -> None:
    other = await world.creator()
    await known(provider, "s-14")
    code = await browser.arrive("google", **await consent(await browser.leave("google", role="Creator"), "s-14"))
    transaction = sql.transaction()
    await transaction.start()
    await sql.execute("INSERT INTO identities VALUES (gen_random_uuid(), $1, 'google', 's-14', now())", UUID(other.id))
    waiting = asyncio.create_task(browser.take(code))
    stuck = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while not await sql.fetchval(stuck):  # noqa: ASYNC110 PostgreSQL alone knows
        await asyncio.sleep(0.01)
    await transaction.commit()
    refused(await waiting, 409, "linked_meanwhile")
    assert await sql.fetchval("SELECT count(*) FROM users") == 1


async def test_only_ones_own_identities_are_seen_and_unlinked(world: World, browser: Browser, provider: str) -> None:
    await known(provider, "s-13")
    ada = Person(world.client, ok(await crossed(browser, "s-13", role="Creator"))["token"])
    [identity] = ok(await ada.get("/auth/identities"))
    stranger = await world.merchant()
    assert ok(await stranger.get("/auth/identities")) == []
    refused(await stranger.delete(f"/auth/identities/{identity['id']}"), 404)
    refused(await world.nobody.get("/auth/identities"), 401)
    assert len(ok(await ada.get("/auth/identities"))) == 1


# What the browser is sent with, and what it must bring back.


async def test_the_way_there_names_what_the_standards_ask_for(browser: Browser, provider: str) -> None:
    answer = await browser.get("/auth/oauth/google", challenge=browser.challenge)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("backdrop_oauth=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "max-age=600" in cookie
    request = asked(answer.headers["location"])
    assert answer.headers["location"].startswith(f"{provider}/oauth2/authorize?")
    assert request["response_type"] == "code"
    assert request["client_id"] == CLIENT
    assert request["redirect_uri"] == "http://backdrop.test/api/v1/auth/oauth/google/callback"
    assert request["code_challenge_method"] == "S256"
    assert set(request["scope"].split()) == {"openid", "email", "profile"}
    assert len(request["state"]) == len(request["nonce"]) == len(request["code_challenge"]) == 43
    assert SECRET not in answer.headers["location"]
    assert request["code_challenge"] != browser.challenge, "the frontend's secret and ours are two"
    assert request["state"] not in cookie


async def test_a_state_is_good_once_in_its_browser(app: FastAPI, browser: Browser, provider: str, sql: Sql) -> None:
    await known(provider, "s-20")
    back = await consent(await browser.leave("google", role="Creator"), "s-20")
    other = Browser(app)
    await other.leave("google", role="Creator")
    for thief in (other, Browser(app)):  # with the cookie of another sign-in, and with none
        refused(await thief.get("/auth/oauth/google/callback", **back), 422, "invalid_state", "state")
    for state in ("x", "x" * 500, back["state"][:-1]):
        refused(await browser.get("/auth/oauth/google/callback", **{**back, "state": state}), 422, "invalid_state")
    refused(await browser.get("/auth/oauth/google/callback", code=back["code"]), 422, field="state")
    answer = await browser.get("/auth/oauth/google/callback", **back)
    assert 'backdrop_oauth=""' in answer.headers["set-cookie"]
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    ok(await browser.take(code_of(answer)))
    refused(await browser.get("/auth/oauth/google/callback", **back), 422, "invalid_state")
    assert await sql.fetchval("SELECT count(*) FROM users") == 1


async def test_a_state_cannot_be_used_twice_even_with_the_cookie_kept(browser: Browser, provider: str) -> None:
    await known(provider, "s-21")
    back = await consent(await browser.leave("google", role="Creator"), "s-21")
    cookie = browser.http.cookies["backdrop_oauth"]
    answers = await asyncio.gather(
        *(
            browser.http.get(
                "/api/v1/auth/oauth/google/callback", params=back, headers={"cookie": f"backdrop_oauth={cookie}"}
            )
            for _ in range(6)
        )
    )
    assert sorted(each.status_code for each in answers) == [303] + 5 * [422]


async def test_a_sign_in_runs_out(world: World, browser: Browser, provider: str, sql: Sql) -> None:
    await known(provider, "s-22")
    back = await consent(await browser.leave("google", role="Creator"), "s-22")
    world.advance(minutes=10, seconds=1)
    refused(await browser.get("/auth/oauth/google/callback", **back), 422, "invalid_state")
    back = await consent(await browser.leave("google", role="Creator"), "s-22")
    code = await browser.arrive("google", **back)
    world.advance(minutes=10, seconds=1)
    refused(await browser.take(code), 422, "invalid_sign_in_code", "code")
    assert await sql.fetchval("SELECT count(*) FROM users") == 0


async def test_a_code_is_good_once_and_only_for_who_has_the_verifier(
    app: FastAPI, browser: Browser, provider: str, sql: Sql
) -> None:
    """A link with somebody else's code signs nobody in, and a stolen code is worth nothing."""
    await known(provider, "s-23")
    thief = Browser(app)
    code = await browser.arrive("google", **await consent(await browser.leave("google", role="Creator"), "s-23"))
    refused(await thief.take(code), 422, "invalid_sign_in_code", "code")
    refused(await browser.take(code), 422, "invalid_sign_in_code")
    assert await sql.fetchval("SELECT count(*) FROM users") == 0
    code = await browser.arrive("google", **await consent(await browser.leave("google", role="Creator"), "s-23"))
    answers = await asyncio.gather(*(browser.take(code) for _ in range(6)))
    assert sorted(each.status_code for each in answers) == [200] + 5 * [422]


async def test_a_provider_code_is_good_once(browser: Browser, provider: str, sql: Sql) -> None:
    """The provider sees to that; a code from another sign-in does not fit this one's nonce either."""
    await known(provider, "s-24")
    first = await consent(await browser.leave("google", role="Creator"), "s-24")
    second = asked(await browser.leave("google", role="Creator"))
    code = await browser.arrive("google", code=first["code"], state=second["state"])
    refused(await browser.take(code), 409, "provider_refused")
    third = asked(await browser.leave("google", role="Creator"))
    code = await browser.arrive("google", code=first["code"], state=third["state"])
    refused(await browser.take(code), 409, "provider_refused")
    assert await sql.fetchval("SELECT count(*) FROM users") == 0


async def test_who_says_no_at_the_provider_is_told_by_the_frontend(browser: Browser, provider: str) -> None:
    for answer in ({"error": "access_denied"}, {"error": "x" * 3000, "code": "c"}, {}):
        state = asked(await browser.leave("google"))["state"]
        code = await browser.arrive("google", state=state, **answer)
        refused(await browser.take(code), 409, "provider_refused")


async def test_nobody_is_sent_anywhere_else(browser: Browser, provider: str) -> None:
    """The frontend's address comes from the settings, the callback's from the service: no parameter changes them."""
    evil = "https://evil.example/"
    names = ("redirect_uri", "redirect", "next", "returnTo", "return_to", "callback", "url", "state", "client_id")
    address = await browser.leave("google", **dict.fromkeys(names, evil))
    assert "evil" not in address
    await known(provider, "s-25")
    back = await consent(address, "s-25")
    answer = await browser.get("/auth/oauth/google/callback", **{**dict.fromkeys(names, evil), **back, "iss": evil})
    assert "evil" not in str(answer.headers)
    assert code_of(answer)


async def test_what_is_kept_of_a_sign_in_opens_nothing(browser: Browser, provider: str, sql: Sql) -> None:
    await known(provider, "s-26")
    address = await browser.leave("google", role="Creator")
    cookie = browser.http.cookies["backdrop_oauth"]
    back = await consent(address, "s-26")
    code = await browser.arrive("google", **back)
    text = await sql.fetchval("SELECT row_to_json(s)::text FROM sign_ins s")
    for secret in (back["state"], cookie, code, asked(address)["nonce"], browser.verifier, SECRET):
        assert secret not in text


async def test_what_has_another_shape_is_refused(world: World, browser: Browser) -> None:
    odd: list[dict[str, Any]] = [
        {},
        {"code": "x"},
        {"code": "x", "verifier": "short"},
        {"code": "x", "verifier": "x" * 129},
        {"code": "x", "verifier": "é" * 43},
        {"code": None, "verifier": "x" * 43},
        {"code": "x", "verifier": "x" * 43, "role": "Operator"},
    ]
    for body in odd:
        refused(await world.nobody.post("/auth/oauth/token", body), 422)
    for challenge in ("", "x", "x" * 42, "x" * 44, "é" * 43, "=" * 43):
        refused(await browser.get("/auth/oauth/google", challenge=challenge), 422, field="challenge")


async def test_only_what_is_configured_is_offered(browser: Browser) -> None:
    assert ok(await browser.get("/auth/oauth/providers")) == [{"name": "google", "title": "Google"}]
    for name in ("github", "facebook", "GOOGLE", "..", "google%2F.."):
        refused(await browser.get(f"/auth/oauth/{name}", challenge=browser.challenge), 404, "not_found")
        refused(await browser.get(f"/auth/oauth/{name}/callback", state="x", code="x"), 404, "not_found")


async def test_each_step_has_a_limit(world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    world.freeze()
    monkeypatch.setattr(routers, "OAUTH", replace(OAUTH, by_address=Limit(6, 60)))
    for _ in range(2):
        await browser.leave("google")
        refused(await browser.get("/auth/oauth/google/callback", state="x"), 422)
        refused(await browser.take("x"), 422)
    refused(await browser.get("/auth/oauth/google", challenge=browser.challenge), 429, "too_many_requests")
    refused(await browser.get("/auth/oauth/google/callback", state="x"), 429)
    refused(await browser.take("x"), 429)
