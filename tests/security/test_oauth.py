"""Attacks on signing in with a provider: what a liar, a thief, a broken or a silent provider achieves is nothing."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any, TypeAlias

import asyncpg
import pytest
from fastapi import FastAPI
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from backend.core.config import Settings
from backend.integrations.oauth import exchange, providers
from backend.main import create_app
from tests.factories.browser import Browser, asked
from tests.factories.providers import CLIENT, SECRET, Forger, GitHubStand
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
STRANGERS = RSAKey.generate_key(2048, {"kid": "one"})


def configured(settings: Settings, base: str) -> Settings:
    """Both providers, at one server."""
    names = ("google_client_id", "google_client_secret", "github_client_id", "github_client_secret")
    more: dict[str, Any] = {name: SecretStr(SECRET) if "secret" in name else CLIENT for name in names}
    more |= {
        "google_issuer": base,
        "google_authorize_url": f"{base}/oauth2/authorize",
        "google_token_url": f"{base}/oauth2/token",
        "google_jwks_url": f"{base}/jwks",
        "github_url": base,
        "github_api_url": f"{base}/api/v3",
    }
    return settings.model_copy(update=more)


@pytest.fixture
def settings(settings: Settings, httpserver: HTTPServer) -> Settings:
    return configured(settings, httpserver.url_for("").rstrip("/"))


@pytest.fixture
def forger(httpserver: HTTPServer) -> Forger:
    return Forger(httpserver, KEY, int(time.time()))


@pytest.fixture
def browser(app: FastAPI) -> Browser:
    return Browser(app)


async def taken(browser: Browser, where: str) -> Any:
    """Back from Google with a code, and the frontend's question."""
    return await browser.take(await browser.arrive("google", code="a-code", state=asked(where)["state"]))


async def test_an_honest_id_token_is_believed(browser: Browser, forger: Forger) -> None:
    """So that the refusals below are about what is wrong with each."""
    where = await browser.leave("google", role="Creator")
    forger.answers(forger.signed(forger.claims(where)))
    assert ok(await taken(browser, where))["user"]["email"] == "ada@example.com"


PUBLIC = KEY.as_pem(private=False)


def forgeries(forger: Forger, where: str) -> dict[str, str | None]:
    """Id tokens in each of which one thing is wrong."""
    honest = forger.claims(where)
    long_ago = {"iat": forger.now - 9000, "exp": forger.now - 8000}
    head, body, signature = forger.signed(honest).split(".")
    return {
        "none at all": None,
        "no token": "x",
        "of another sign-in": forger.signed({**honest, "nonce": "x" * 43}),
        "without a nonce": forger.signed(forger.claims(where, nonce=None)),
        "for another client": forger.signed({**honest, "aud": "another"}),
        "for another client, by us": forger.signed({**honest, "aud": "another", "azp": CLIENT}),
        "for two, the other authorised": forger.signed({**honest, "aud": [CLIENT, "b"], "azp": "b"}),
        "for two, nobody authorised": forger.signed({**honest, "aud": [CLIENT, "b"]}),
        "without an audience": forger.signed(forger.claims(where, aud=None)),
        "of another issuer": forger.signed({**honest, "iss": "https://accounts.evil.example"}),
        "of a longer issuer": forger.signed({**honest, "iss": honest["iss"] + ".evil.example"}),
        "without an issuer": forger.signed(forger.claims(where, iss=None)),
        "expired": forger.signed({**honest, **long_ago}),
        "without an end": forger.signed(forger.claims(where, exp=None)),
        "not valid yet": forger.signed({**honest, "nbf": forger.now + 9000}),
        "without a subject": forger.signed(forger.claims(where, sub=None)),
        "of an empty subject": forger.signed({**honest, "sub": ""}),
        "of a subject that is no text": forger.signed({**honest, "sub": 5}),
        "of a stranger's key": forger.signed(honest, STRANGERS),
        "of a key that is not there": forger.signed(honest, STRANGERS, kid="two"),
        "unsigned": forger.unsigned(honest),
        "unsigned in capitals": forger.unsigned(honest, "NONE"),
        "signed with the public key as a secret": forger.unsigned(honest, "HS256", PUBLIC),
        "signed with our secret": forger.unsigned(honest, "HS256", SECRET.encode()),
        "of an algorithm that is not agreed": forger.signed(honest, alg="RS512"),
        "changed after signing": f"{head}.{forger.unsigned({**honest, 'sub': 'x'}).split('.')[1]}.{signature}",
        "without its signature": f"{head}.{body}.",
    }


async def test_no_forged_id_token_is_believed(world: World, browser: Browser, forger: Forger, sql: Sql) -> None:
    where = await browser.leave("google", role="Creator")
    for what in forgeries(forger, where):
        where = await browser.leave("google", role="Creator")
        forger.server.clear()
        forger.__post_init__()
        forger.answers(forgeries(forger, where)[what])
        problem = refused(await taken(browser, where), 409, "provider_refused")
        assert "subject" not in str(problem), what
        assert await sql.fetchval("SELECT count(*) FROM users") == 0, what


async def test_keys_that_are_no_keys_are_no_failure(browser: Browser, forger: Forger, sql: Sql) -> None:
    odd: list[Any] = [{}, {"keys": []}, {"keys": [{"kty": "oct", "k": "eA"}]}, {"keys": [{}, 5]}, [], None, "x", 5]
    for keys in odd:
        where = await browser.leave("google", role="Creator")
        token = forger.signed(forger.claims(where))
        forger.server.clear()
        forger.server.expect_request("/jwks").respond_with_json(keys)
        forger.answers(token)
        answer = await taken(browser, where)
        assert answer.status_code in (409, 503), answer.text
    assert await sql.fetchval("SELECT count(*) FROM users") == 0


async def test_a_broken_provider_is_a_503(browser: Browser, httpserver: HTTPServer) -> None:
    broken = [("Internal Server Error", 500), ("<html>rate limited</html>", 429), ("text", 200), ("[]", 200), ("", 200)]
    for body, status in broken:
        httpserver.clear()
        httpserver.expect_request("/oauth2/token").respond_with_data(body, status)
        problem = refused(await taken(browser, await browser.leave("google")), 503, "provider_unavailable")
        assert "Google" in problem["detail"]


@pytest.mark.parametrize("status", [302, 307])
async def test_no_redirect_is_followed(browser: Browser, forger: Forger, status: int) -> None:
    """Not even to a token that would be believed."""
    where = await browser.leave("google", role="Creator")
    elsewhere = {"access_token": "opaque", "token_type": "Bearer", "id_token": forger.signed(forger.claims(where))}
    forger.server.expect_request("/elsewhere").respond_with_json(elsewhere)
    away = Response("", status, {"Location": forger.server.url_for("/elsewhere")})
    forger.server.expect_request("/oauth2/token").respond_with_response(away)
    refused(await taken(browser, where), 503, "provider_unavailable")
    assert [request.path for request, _ in forger.server.log] == ["/oauth2/token"]


async def test_a_provider_that_refuses_our_code_is_a_409(browser: Browser, httpserver: HTTPServer) -> None:
    body = {"error": "invalid_grant", "error_description": "planted <b>words</b>"}
    httpserver.expect_request("/oauth2/token").respond_with_json(body, 400)
    answer = await taken(browser, await browser.leave("google"))
    refused(answer, 409, "provider_refused")
    assert "planted" not in answer.text


async def test_an_api_that_says_nonsense_is_a_503(browser: Browser, httpserver: HTTPServer) -> None:
    github = GitHubStand(httpserver)
    odd: list[tuple[Any, Any]] = [
        ({"login": "octo"}, []),
        ({"id": "583231"}, []),
        ({"id": True}, []),
        ([], []),
        ({"id": 1}, {"message": "Not Found"}),
        ({"id": 1}, None),
    ]
    for github.user, github.emails in odd:
        where = await browser.leave("github", role="Creator")
        code = await browser.arrive("github", code=github.consent(where), state=asked(where)["state"])
        refused(await browser.take(code), 503, "provider_unavailable")


async def test_a_provider_that_is_not_there_is_a_503(settings: Settings, sql: Sql) -> None:
    app = create_app(configured(settings, "http://127.0.0.1:1"))
    async with app.router.lifespan_context(app):
        browser = Browser(app)
        started = time.monotonic()
        refused(await taken(browser, await browser.leave("google")), 503, "provider_unavailable")
        assert time.monotonic() - started < 3


async def test_a_provider_that_never_answers_is_a_503_and_holds_no_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is waited for, others are served: not one connection to the database is taken."""
    monkeypatch.setattr(exchange, "STEP", 0.4)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = create_app(
            configured(settings, f"http://127.0.0.1:{silent.getsockname()[1]}").model_copy(update={"db_pool_size": 1})
        )
        async with app.router.lifespan_context(app):
            browser = Browser(app)
            where = await browser.leave("google")
            waiting = asyncio.create_task(taken(browser, where))
            await asyncio.sleep(0.2)
            assert not waiting.done()
            assert ok(await Browser(app).get("/healthz"))["db"] == "connected"
            refused(await waiting, 503, "provider_unavailable")


async def test_all_steps_together_have_an_end(
    settings: Settings, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider that sends a byte now and then keeps each step alive, but not the whole."""
    monkeypatch.setattr(exchange, "LONGEST", 0.3)

    def dripping(_: Request) -> Response:
        def drops() -> Any:
            for _ in range(10):
                time.sleep(0.1)
                yield b" "

        return Response(drops(), content_type="application/json")

    httpserver.expect_request("/oauth2/token").respond_with_handler(dripping)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        browser = Browser(app)
        refused(await taken(browser, await browser.leave("google")), 503, "provider_unavailable")


async def test_what_was_begun_at_one_provider_is_not_ended_at_the_other(
    browser: Browser, httpserver: HTTPServer, sql: Sql
) -> None:
    """Mix-up (RFC 9700): one provider's answer, given at the other's callback, would send it the first one's code."""
    for begun, ended in (("google", "github"), ("github", "google")):
        state = asked(await browser.leave(begun))["state"]
        refused(await browser.get(f"/auth/oauth/{ended}/callback", state=state, code="c"), 422, "invalid_state")
        assert await sql.fetchval("SELECT count(*) FROM sign_ins WHERE returned_at IS NOT NULL") == 0
    assert httpserver.log == [], "nobody was asked anything"


async def test_over_https_the_cookie_is_bound_to_this_very_host(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"public_url": "https://api.example.com"}))
    async with app.router.lifespan_context(app):
        browser = Browser(app, origin="https://api.example.com")
        answer = await browser.get("/auth/oauth/github", challenge=browser.challenge)
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-backdrop_oauth=")
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        state = asked(answer.headers["location"])["state"]
        back = {"state": state, "code": "c"}
        planted = {"cookie": f"backdrop_oauth={browser.http.cookies['__Host-backdrop_oauth']}"}
        path = "/api/v1/auth/oauth/github/callback"
        refused(await Browser(app, origin="https://api.example.com").http.get(path, params=back, headers=planted), 422)
        await browser.arrive("github", **back)


async def test_nothing_secret_is_logged(browser: Browser, forger: Forger, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="backdrop")
    where = await browser.leave("google", role="Creator")
    token = forger.signed(forger.claims(where))
    forger.answers(token)
    state = asked(where)["state"]
    code = await browser.arrive("google", code="planted-code", state=state)
    ok(await browser.take(code))
    ours = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("backdrop"))
    assert "takeSignIn" in ours
    for secret in (token, state, code, "planted-code", SECRET, "subject-1", "ada@example.com", browser.verifier):
        assert secret not in ours


async def test_only_what_has_an_id_and_a_secret_is_there(settings: Settings) -> None:
    assert set(providers(settings)) == {"google", "github"}
    for name in ("google_client_id", "google_client_secret"):
        assert set(providers(settings.model_copy(update={name: None}))) == {"github"}
    for name in ("github_client_id", "github_client_secret"):
        assert set(providers(settings.model_copy(update={name: None}))) == {"google"}
