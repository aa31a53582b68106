"""Signing in, and which tokens count."""

from __future__ import annotations

import asyncio
from typing import Any, TypeAlias

import asyncpg
import bcrypt
import jwt
import pytest

from backend.core import passwords
from backend.core.config import Settings
from tests.factories.people import Person
from tests.factories.refusals import fields, refused
from tests.factories.world import PASSWORD, World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# Signing in.


async def test_one_signs_in_with_address_and_password_in_any_letter_case(world: World) -> None:
    ada = await world.advertiser()
    for email in ("advertiser1@example.com", "ADVERTISER1@Example.COM", " advertiser1@example.com "):
        response = await world.nobody.post("/auth/login", {"email": email, "password": PASSWORD})
        answer = ok(response)
        assert set(answer) == {"token", "refreshToken", "expiresIn", "user"}
        assert answer["user"] == ada.user
        assert response.headers["cache-control"] == "no-store"
        assert ok(await Person(world.client, answer["token"]).get("/auth/me")) == ada.user


async def test_the_form_signs_in_too_and_its_names_are_the_standards(world: World) -> None:
    ada = await world.advertiser()
    form = {"username": "advertiser1@example.com", "password": PASSWORD, "grant_type": "password"}
    answer = ok(await world.nobody.post("/auth/token", data=form))
    assert answer["token_type"] == "bearer"
    assert ok(await Person(world.client, answer["access_token"]).get("/auth/me")) == ada.user


async def test_wrong_password_unknown_address_and_inactive_account_get_the_same_answer(world: World, sql: Sql) -> None:
    await world.advertiser()
    gone = await world.advertiser()
    await sql.execute("UPDATE users SET is_active = false WHERE id::text = $1", gone.id)
    told = []
    for email, password in (
        ("advertiser1@example.com", "a wrong password"),
        ("nobody@example.com", PASSWORD),
        ("advertiser2@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("a\x00b", PASSWORD),
        ("advertiser1@example.com", ""),
    ):
        response = await world.nobody.post("/auth/login", {"email": email, "password": password})
        body = refused(response, 401, "wrong_credentials")
        body.pop("requestId")
        told.append((body, response.headers["www-authenticate"]))
        form = await world.nobody.post("/auth/token", data={"username": email or "x", "password": password or "x"})
        body = refused(form, 401, "wrong_credentials")
        body.pop("requestId")
        told.append((body, form.headers["www-authenticate"]))
    assert all(each == told[0] for each in told)
    assert await sql.fetchval("SELECT count(*) FROM sessions") == 2


async def test_an_unknown_address_takes_the_time_of_a_known_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in hashes, not in seconds: each refusal computes exactly one."""
    await world.advertiser()
    computed: list[str] = []
    fits = passwords._fits

    def counted(password: str, digest: str) -> bool:
        computed.append(digest)
        return fits(password, digest)

    monkeypatch.setattr(passwords, "_fits", counted)
    for email in ("advertiser1@example.com", "nobody@example.com"):
        refused(await world.nobody.post("/auth/login", {"email": email, "password": "wrong"}), 401)
    assert len(computed) == 2
    assert all(digest.startswith("$argon2id$") for digest in computed)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "a@example.com"}, "password"),
        ({"email": "a@example.com", "password": "x", "remember": True}, "remember"),
        ({"email": "a@example.com", "password": "x" * 1025}, "password"),
        ({"email": "x" * 321, "password": "x"}, "email"),
        ({"email": None, "password": "x"}, "email"),
        ({"email": "a@example.com", "password": 7}, "password"),
    ],
)
async def test_credentials_of_the_wrong_shape_are_refused(world: World, body: dict[str, Any], field: str) -> None:
    response = await world.nobody.post("/auth/login", body)
    assert field in fields(response)
    assert "xxx" not in response.text


@pytest.mark.parametrize(
    "content",
    [
        b"username=a&password=" + b"x" * 100_000,
        b"username=" + b"x" * 100_000 + b"&password=x",
        b"username=%ED%A0%80&password=%ED%A0%80",
        b"username=%00&password=%00",
        b"username=%ff&password=%ff",
        b"username=a&username=b&password=c",
    ],
    ids=["long password", "long name", "surrogate", "NUL", "latin-1", "twice"],
)
async def test_a_nasty_form_is_refused_and_never_a_failure(world: World, content: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = await world.nobody.post("/auth/token", content=content, headers=headers)
    assert refused(response, response.status_code)["status"] in (401, 422)


async def test_the_form_takes_only_forms(world: World) -> None:
    refused(await world.nobody.post("/auth/token", {"username": "a", "password": "b"}), 415)
    assert fields(await world.nobody.post("/auth/token", data={"username": "a"})) == {"password"}


@pytest.mark.parametrize("password", ["an old password", "p" * 100])
async def test_an_old_hash_is_accepted_and_upgraded_at_the_first_sign_in(world: World, sql: Sql, password: str) -> None:
    await world.advertiser()
    old = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    await sql.execute("UPDATE users SET password_hash = $1", old)
    await world.log_in("advertiser1@example.com", password)
    upgraded = await sql.fetchval("SELECT password_hash FROM users")
    assert upgraded.startswith("$argon2id$")
    await world.log_in("advertiser1@example.com", password)
    assert await sql.fetchval("SELECT password_hash FROM users") == upgraded
    wrong = {"email": "advertiser1@example.com", "password": password[:72] + "!"}
    refused(await world.nobody.post("/auth/login", wrong), 401, "wrong_credentials")


async def test_a_sign_in_is_on_the_record_without_its_secrets(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    lines = "SELECT action, actor_id::text, data::text, id FROM"
    rows = await sql.fetch(f"{lines} events UNION ALL {lines} security_events ORDER BY id")
    assert [(row["action"], row["actor_id"]) for row in rows] == [("user.created", None), ("session.opened", ada.id)]
    assert ada.refresh_token is not None
    for secret in (ada.refresh_token, ada.token, "example.com", "Advertiser 1"):
        assert str(secret) not in str(rows)
    stored = await sql.fetch("SELECT token_hash FROM refresh_tokens")
    assert all(ada.refresh_token.encode() not in row["token_hash"] for row in stored)


# Which tokens count.


def forged(
    person: Person, settings: Settings, *, key: str | None = None, algorithm: str = "HS256", **changes: Any
) -> str:
    """The person's token with other claims, signed with our key unless told otherwise."""
    assert person.token is not None
    claims = jwt.decode(person.token, options={"verify_signature": False}) | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    assert settings.jwt_secret is not None
    secret = settings.jwt_secret.get_secret_value() if key is None else key
    return jwt.encode(claims, secret, algorithm=algorithm)


async def test_the_token_forged_without_a_change_passes(world: World, settings: Settings) -> None:
    """So that the refusals below are for their one change."""
    ada = await world.advertiser()
    ok(await Person(world.client, forged(ada, settings)).get("/auth/me"))


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "none"},
        {"key": "another secret of thirty-two bytes or more"},
        {"key": ""},
        {"algorithm": "HS512"},
        {"exp": None},
        {"exp": 1},
        {"exp": 10**400},
        {"aud": "another"},
        {"aud": None},
        {"iss": "another"},
        {"iss": None},
        {"typ": "refresh"},
        {"typ": None},
        {"sub": "01890000-0000-7000-8000-000000000000"},
        {"sub": None},
        {"sid": "01890000-0000-7000-8000-000000000000"},
        {"sid": None},
        {"nbf": 4102444800},
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_forged_token_is_refused(world: World, settings: Settings, changes: dict[str, Any]) -> None:
    ada = await world.advertiser()
    if changes.get("algorithm") == "none":
        changes["key"] = ""
    if changes.get("key") == "":
        assert ada.token is not None
        head, body, _ = ada.token.split(".")
        token = f"{head}.{body}."
        if "algorithm" in changes:
            token = forged(ada, settings, **changes)
    else:
        token = forged(ada, settings, **changes)
    for call in (Person(world.client, token).get("/auth/me"), Person(world.client, token).patch("/auth/me", {})):
        response = await call
        refused(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"


async def test_a_session_of_another_user_does_not_count(world: World, settings: Settings) -> None:
    ada, mia = await world.advertiser(), await world.merchant()
    refused(await Person(world.client, forged(ada, settings, sub=mia.id)).get("/auth/me"), 401, "session_ended")


async def test_a_refresh_token_is_no_access_token(world: World) -> None:
    ada = await world.advertiser()
    refused(await Person(world.client, ada.refresh_token).get("/auth/me"), 401, "invalid_token")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Basic YTpi",
        b"Bearer a b",
        b"Bearer " + b"x" * 100_000,
        "Bearer é.ü.ß".encode(),
        "Bearer é.ü.ß".encode("latin-1"),
        b"Bearer \x01\x02",
        b"Bearer null",
        b"Bearer ..",
        b"Bearer eyJhbGciOiJub25lIn0.e30.",
        b",",
    ],
    ids=lambda value: value[:20].decode("latin-1").encode("unicode_escape").decode(),
)
async def test_an_odd_authorization_header_is_a_401(world: World, value: bytes) -> None:
    headers = [(b"authorization", value)]
    response = await world.client.request("GET", "/api/v1/auth/me", headers=headers)
    refused(response, 401)


async def test_two_authorization_headers_are_no_way_in(world: World) -> None:
    ada = await world.advertiser()
    headers = [(b"authorization", b"Bearer x"), (b"authorization", f"Bearer {ada.token}".encode())]
    refused(await world.client.request("GET", "/api/v1/auth/me", headers=headers), 401)


async def test_a_token_in_the_address_is_no_way_in(world: World) -> None:
    ada = await world.advertiser()
    refused(await world.nobody.get("/auth/me", params={"access_token": ada.token, "token": ada.token}), 401)


async def test_the_scheme_is_read_in_any_letter_case(world: World) -> None:
    ada = await world.advertiser()
    ok(await world.nobody.get("/auth/me", headers={"Authorization": f"bearer {ada.token}"}))


async def test_an_access_token_lasts_as_long_as_it_says(world: World) -> None:
    ada = await world.advertiser()
    world.advance(seconds=86400 - 5)
    ok(await ada.get("/auth/me"))
    world.advance(seconds=5)
    refused(await ada.get("/auth/me"), 401, "token_expired")


async def test_an_ended_session_and_an_inactive_user_are_refused_from_the_next_request(world: World, sql: Sql) -> None:
    ada, mia = await world.advertiser(), await world.merchant()
    await sql.execute("UPDATE sessions SET ended_at = now() WHERE user_id::text = $1", ada.id)
    await sql.execute("UPDATE users SET is_active = false WHERE id::text = $1", mia.id)
    for person in (ada, mia):
        refused(await person.get("/auth/me"), 401, "session_ended")
        refused(await person.patch("/auth/me", {"name": "X"}), 401, "session_ended")
    assert await sql.fetchval("SELECT count(*) FROM users WHERE name = 'X'") == 0


# Renewing.


async def renew(person: Person, token: str | None = None) -> Any:
    return await person.client.post("/api/v1/auth/refresh", json={"refreshToken": token or person.refresh_token})


async def test_a_refresh_token_makes_a_new_pair_of_the_same_session(world: World) -> None:
    ada = await world.advertiser()
    answer = ok(await renew(ada))
    assert set(answer) == {"token", "refreshToken", "expiresIn", "user"}
    assert answer["user"] == ada.user
    assert answer["refreshToken"] != ada.refresh_token
    assert ok(await Person(world.client, answer["token"]).get("/auth/me")) == ada.user
    assert ok(await ada.get("/auth/me")) == ada.user, "the older access token lasts as long as it says"
    ok(await renew(ada, answer["refreshToken"]))


async def test_of_fifty_uses_at_once_exactly_one_makes_a_new_pair(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    answers = await asyncio.gather(*(renew(ada) for _ in range(50)))
    assert sorted(each.status_code for each in answers) == [200] + [401] * 49
    for each in answers:
        if each.status_code == 401:
            refused(each, 401, "refresh_token_used")
    assert await sql.fetchval("SELECT count(*) FROM refresh_tokens") == 2
    [pair] = [each.json() for each in answers if each.status_code == 200]
    ok(await Person(world.client, pair["token"]).get("/auth/me"))
    ok(await renew(ada, pair["refreshToken"]))


async def test_a_use_again_within_the_grace_is_refused_and_ends_nothing(world: World) -> None:
    ada = await world.advertiser()
    pair = ok(await renew(ada))
    world.advance(seconds=9)
    refused(await renew(ada), 401, "refresh_token_used")
    ok(await Person(world.client, pair["token"]).get("/auth/me"))
    ok(await renew(ada, pair["refreshToken"]))


async def test_a_use_again_after_the_grace_ends_the_whole_family_and_no_other(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    other = await world.log_in("advertiser1@example.com")
    pair = ok(await renew(ada))
    newest = ok(await renew(ada, pair["refreshToken"]))
    world.advance(seconds=10)
    refused(await renew(ada), 401, "refresh_token_used")
    for token in (ada.token, pair["token"], newest["token"]):
        refused(await Person(world.client, token).get("/auth/me"), 401, "session_ended")
    refused(await renew(ada, newest["refreshToken"]), 401, "session_ended")
    ok(await other.get("/auth/me"))
    ok(await renew(other))
    row = await sql.fetchrow(
        "SELECT actor_id::text, data::json->>'reason' AS why FROM security_events WHERE action = 'session.ended'"
    )
    assert row is not None
    assert (row["actor_id"], row["why"]) == (ada.id, "reuse")


async def test_a_refresh_token_expires(world: World, settings: Settings) -> None:
    ada = await world.advertiser()
    world.advance(seconds=settings.refresh_expires_in - 1)
    pair = ok(await renew(ada))
    world.advance(seconds=settings.refresh_expires_in)
    refused(await renew(ada, pair["refreshToken"]), 401, "token_expired")


async def test_a_session_has_an_end_however_often_it_is_renewed(world: World, settings: Settings) -> None:
    world.freeze()
    ada = await world.advertiser()
    token = ada.refresh_token
    for _ in range(4):
        world.advance(seconds=settings.session_expires_in / 4 - 1)
        token = ok(await renew(ada, token))["refreshToken"]
    world.advance(seconds=3)
    token = ok(await renew(ada, token))["refreshToken"]
    world.advance(seconds=1)
    refused(await renew(ada, token), 401, "token_expired")


@pytest.mark.parametrize("token", ["x", "x" * 512, "é", "a b", "' OR 1=1 --"])
async def test_an_invented_refresh_token_is_refused(world: World, token: str) -> None:
    await world.advertiser()
    for path in ("/auth/refresh", "/auth/logout"):
        refused(await world.nobody.post(path, {"refreshToken": token}), 401, "invalid_token")


async def test_an_access_token_is_no_refresh_token(world: World) -> None:
    ada = await world.advertiser()
    assert ada.token is not None
    refused(await renew(ada, ada.token[:512]), 401, "invalid_token")


async def test_an_inactive_user_renews_nothing(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    await sql.execute("UPDATE users SET is_active = false")
    refused(await renew(ada), 401, "session_ended")


@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "refreshToken"),
        ({"refreshToken": None}, "refreshToken"),
        ({"refreshToken": ""}, "refreshToken"),
        ({"refreshToken": "x" * 513}, "refreshToken"),
        ({"refreshToken": "a\x00"}, "refreshToken"),
        ({"refreshToken": "x", "all": True}, "all"),
        ({"refresh_token": "x"}, "refreshToken"),
    ],
)
async def test_renewing_and_signing_out_take_one_token(
    world: World, path: str, body: dict[str, Any], field: str
) -> None:
    assert field in fields(await world.nobody.post(path, body))


# Signing out.


async def test_signing_out_ends_this_session_from_the_next_request_on(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    other = await world.log_in("advertiser1@example.com")
    for _ in range(2):
        response = await world.nobody.post("/auth/logout", {"refreshToken": ada.refresh_token})
        assert (response.status_code, response.content) == (204, b"")
    refused(await ada.get("/auth/me"), 401, "session_ended")
    refused(await ada.patch("/auth/me", {"name": "X"}), 401, "session_ended")
    refused(await renew(ada), 401, "session_ended")
    ok(await other.get("/auth/me"))
    assert await sql.fetchval("SELECT count(*) FROM security_events WHERE action = 'session.ended'") == 1


async def test_a_used_refresh_token_signs_out_as_well(world: World) -> None:
    ada = await world.advertiser()
    pair = ok(await renew(ada))
    ok(await world.nobody.post("/auth/logout", {"refreshToken": ada.refresh_token}))
    refused(await Person(world.client, pair["token"]).get("/auth/me"), 401, "session_ended")


async def test_renewing_is_on_the_record_without_its_secrets(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    pair = ok(await renew(ada))
    rows = str(await sql.fetch("SELECT action, data::text FROM security_events"))
    assert "session.refreshed" in rows
    for secret in (ada.refresh_token, pair["refreshToken"], pair["token"]):
        assert str(secret) not in rows
