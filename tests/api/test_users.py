"""Signing up, one's own account, the directory of buyers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import asyncpg
import pytest

from tests.factories.people import Person
from tests.factories.refusals import fields, refused
from tests.factories.world import PASSWORD, World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NEW = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada", "role": "Advertiser"}


JSON = {"content-type": "application/json"}


async def endless() -> AsyncIterator[bytes]:
    """A body that is over every limit and does not say its length."""
    for _ in range(200):
        yield b" " * 10_000


# Signing up.


@pytest.mark.parametrize("role", ["Creator", "Advertiser", "Merchant"])
async def test_each_role_but_operator_signs_up_and_is_signed_in(world: World, role: str) -> None:
    response = await world.nobody.post("/auth/signup", {**NEW, "role": role})
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    assert set(answer) == {"token", "refreshToken", "expiresIn", "user"}
    assert answer["expiresIn"] == 86400
    user = answer["user"]
    untouched: dict[str, Any] = {"minIntegrationFee": None, "eligibilityRules": [], "allowMatching": False}
    profile: dict[str, Any] | None = untouched if role == "Merchant" else None
    assert user == {
        "id": user["id"],
        "email": "ada@example.com",
        "emailVerifiedAt": None,
        "name": "Ada",
        "role": role,
        "merchantProfile": profile,
        "mailNotifications": True,
        "createdAt": user["createdAt"],
    }
    assert ok(await Person(world.client, answer["token"]).get("/auth/me")) == user


@pytest.mark.parametrize("role", ["Operator", "operator", "creator", "Admin", "", None, 1, ["Creator"]])
async def test_no_other_role_can_be_had_over_http(world: World, sql: Sql, role: Any) -> None:
    assert fields(await world.nobody.post("/auth/signup", {**NEW, "role": role})) == {"role"}
    assert await sql.fetchval("SELECT count(*) FROM users") == 0


async def test_the_password_is_stored_as_a_hash_and_nowhere_else(world: World, sql: Sql) -> None:
    ok(await world.nobody.post("/auth/signup", NEW))
    assert (await sql.fetchval("SELECT password_hash FROM users")).startswith("$argon2id$")
    for table in ("users", "sessions", "refresh_tokens", "events", "idempotency_keys"):
        rows = await sql.fetch(f"SELECT {table}::text FROM {table}")
        assert PASSWORD not in str(rows)
        assert table == "users" or "ada@example.com" not in str(rows)


@pytest.mark.parametrize("again", ["ada@example.com", "ADA@EXAMPLE.COM", "Ada@Example.Com", " ada@example.com "])
async def test_a_known_address_is_taken_in_any_letter_case(world: World, sql: Sql, again: str) -> None:
    ok(await world.nobody.post("/auth/signup", NEW))
    refused(await world.nobody.post("/auth/signup", {**NEW, "email": again, "role": "Creator"}), 409, "email_taken")
    assert await sql.fetchval("SELECT count(*) FROM users") == 1
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'user.created'") == 1


async def test_letter_case_is_more_than_ascii(world: World) -> None:
    ok(await world.nobody.post("/auth/signup", {**NEW, "email": "zoë@example.com"}))
    refused(await world.nobody.post("/auth/signup", {**NEW, "email": "ZOË@example.com"}), 409, "email_taken")


async def test_twenty_at_once_with_one_address_make_one_account(world: World, sql: Sql) -> None:
    answers = await asyncio.gather(*(world.nobody.post("/auth/signup", NEW) for _ in range(20)))
    assert sorted(each.status_code for each in answers) == [201] + [409] * 19
    assert await sql.fetchval("SELECT count(*) FROM users") == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "Ada <ada@example.com>"}, "email"),
        ({"email": "a\x00b@example.com"}, "email"),
        ({"email": "a\r\nBcc: b@example.com"}, "email"),
        ({"email": f"{'a' * 400}@example.com"}, "email"),
        ({"email": None}, "email"),
        ({"password": "x" * 7}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"password": "12345678\x00"}, "password"),
        ({"password": None}, "password"),
        ({"password": 12345678}, "password"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": {"$ne": 1}}, "name"),
        ({"isAdmin": True}, "isAdmin"),
        ({"id": "01890000-0000-7000-8000-000000000000"}, "id"),
        ({"merchantProfile": None}, "merchantProfile"),
        ({"email": ...}, "email"),
        ({"password": ...}, "password"),
        ({"name": ...}, "name"),
        ({"role": ...}, "role"),
    ],
    ids=lambda value: str(value)[:40].encode("unicode_escape").decode(),
)
async def test_a_wrong_shape_is_refused_by_its_field(
    world: World, sql: Sql, change: dict[str, Any], field: str
) -> None:
    body = {name: value for name, value in {**NEW, **change}.items() if value is not ...}
    assert fields(await world.nobody.post("/auth/signup", body)) == {field}
    assert await sql.fetchval("SELECT count(*) FROM users") == 0


@pytest.mark.parametrize("length", [8, 1024])
async def test_passwords_of_8_and_of_1024_characters_are_taken(world: World, length: int) -> None:
    password = "ü" * length
    ok(await world.nobody.post("/auth/signup", {**NEW, "password": password}))
    await world.log_in(NEW["email"], password)


@pytest.mark.parametrize("password", ["hunt3r!", "hunt3r!" * 200])
async def test_a_refused_password_is_not_repeated(world: World, password: str) -> None:
    response = await world.nobody.post("/auth/signup", {**NEW, "password": password})
    assert fields(response) == {"password"}
    assert "hunt3r!" not in response.text


RAW = [
    (b'{"email": "\\ud800@example.com", "password": "12345678", "name": "A", "role": "Creator"}', 422),
    (b'{"email": "a@example.com", "password": "12345678\\ud800", "name": "A", "role": "Creator"}', 422),
    (b'{"email": "a@example.com", "password": "12345678", "name": "\\udfff", "role": "Creator"}', 422),
    (b'{"email": "a@example.com", "password": "12345678", "name": "A", "role": "Creator", "\\ud800": 1}', 422),
    (b'{"email": "a@example.com", "password": NaN, "name": "A", "role": "Creator"}', 422),
    (b'{"email": Infinity, "password": "12345678", "name": "A", "role": "Creator"}', 422),
    (b'{"email": "a@example.com", "email": "b@example.com"}', 422),
    (b"[]", 422),
    (b"null", 422),
    (b'"text"', 422),
    (b"{}", 422),
    (b"", 422),
    (b"{", 400),
    (b"[" * 100_000, 400),
    (b"\xff\xfe{}", 400),
    (b"\xef\xbb\xbf{}", 400),
]


@pytest.mark.parametrize(("body", "status"), RAW, ids=[each[0][:60].decode("latin-1") for each in RAW])
@pytest.mark.parametrize("path", ["/auth/signup", "/auth/login"])
async def test_nasty_bodies_are_judged_and_never_a_failure(world: World, path: str, body: bytes, status: int) -> None:
    response = await world.nobody.post(path, content=body, headers={"content-type": "application/json"})
    refused(response, status)


async def test_a_body_of_another_type_or_too_large_is_refused(world: World) -> None:
    refused(await world.nobody.post("/auth/signup", content=b"x", headers={"content-type": "text/plain"}), 415)
    refused(await world.nobody.post("/auth/signup", data={"email": "a@example.com"}), 415)
    refused(await world.nobody.post("/auth/signup", content=endless(), headers=JSON), 413)


# One's own account.


async def test_nobody_has_no_account(world: World) -> None:
    refused(await world.nobody.get("/auth/me"), 401, "not_signed_in")
    refused(await world.nobody.patch("/auth/me", {"name": "X"}), 401, "not_signed_in")


async def test_not_signed_in_is_judged_before_anything_about_the_body(world: World) -> None:
    """401 before 415, 413, 400 and 422; also for a token whose session has ended."""
    ada = await world.advertiser()
    async with world.database.reading() as db:
        await db.fetch("UPDATE sessions SET ended_at = now()")
    for token in (None, "x.y.z", ada.token):
        caller = Person(world.client, token)
        for more in (
            {"content": b"x", "headers": {"content-type": "text/plain"}},
            {"content": b"{", "headers": {"content-type": "application/json"}},
            {"content": endless(), "headers": JSON},
            {"json": {"name": 7, "unknown": 1}},
            {"json": {"name": "right"}},
        ):
            refused(await caller.call("PATCH", "/auth/me", **more), 401)
        refused(await caller.get("/buyers", params={"q": "x"}), 401)


async def test_a_name_can_be_changed_and_nothing_else_moves(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    before = ok(await ada.get("/auth/me"))
    assert ok(await ada.patch("/auth/me", {"name": "  Ada Lovelace  "})) == {**before, "name": "Ada Lovelace"}
    assert ok(await ada.get("/auth/me"))["name"] == "Ada Lovelace"
    event = await sql.fetchrow("SELECT actor_id::text, data FROM events WHERE action = 'user.changed'")
    assert event is not None
    assert (event["actor_id"], "Lovelace" in event["data"]) == (ada.id, False)


async def test_an_empty_change_changes_nothing(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    assert ok(await ada.patch("/auth/me", {})) == ada.user
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'user.changed'") == 0


async def test_a_merchant_says_what_it_asks_of_placements(world: World) -> None:
    mia = await world.merchant()
    profile: dict[str, Any] | None = {
        "minIntegrationFee": 250.5,
        "eligibilityRules": ["no alcohol", "no alcohol", "PG"],
    }
    changed = ok(await mia.patch("/auth/me", {"merchantProfile": profile}))
    told = {"minIntegrationFee": 250.5, "eligibilityRules": ["no alcohol", "PG"], "allowMatching": False}
    assert changed["merchantProfile"] == told
    emptied: dict[str, Any] = {"minIntegrationFee": None, "eligibilityRules": [], "allowMatching": True}
    assert ok(await mia.patch("/auth/me", {"merchantProfile": emptied}))["merchantProfile"] == emptied
    del emptied["allowMatching"]
    kept = ok(await mia.patch("/auth/me", {"merchantProfile": emptied}))["merchantProfile"]
    assert kept == {**emptied, "allowMatching": True}, "left out, it stays"
    for odd in (None, "true", 1):
        body = {"merchantProfile": {**emptied, "allowMatching": odd}}
        refused(await mia.patch("/auth/me", body), 422, field="merchantProfile.allowMatching")


async def test_only_a_merchant_has_a_merchant_profile(world: World) -> None:
    body = {"merchantProfile": {"minIntegrationFee": 1, "eligibilityRules": []}, "name": "Changed"}
    for person in (await world.creator(), await world.advertiser(), await world.operator()):
        refused(await person.patch("/auth/me", body), 409, "not_a_merchant")
        assert ok(await person.get("/auth/me")) == person.user


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"role": "Operator"}, "role"),
        ({"email": "new@example.com"}, "email"),
        ({"password": "12345678"}, "password"),
        ({"isActive": False}, "isActive"),
        ({"merchantProfile": None}, "merchantProfile"),
        ({"merchantProfile": {}}, "merchantProfile.minIntegrationFee"),
        ({"merchantProfile": {"minIntegrationFee": -1, "eligibilityRules": []}}, "merchantProfile.minIntegrationFee"),
        ({"merchantProfile": {"minIntegrationFee": 1e13, "eligibilityRules": []}}, "merchantProfile.minIntegrationFee"),
        (
            {"merchantProfile": {"minIntegrationFee": 0.001, "eligibilityRules": []}},
            "merchantProfile.minIntegrationFee",
        ),
        ({"merchantProfile": {"minIntegrationFee": "x", "eligibilityRules": []}}, "merchantProfile.minIntegrationFee"),
        ({"merchantProfile": {"minIntegrationFee": 1, "eligibilityRules": [""]}}, "merchantProfile.eligibilityRules.0"),
        ({"merchantProfile": {"minIntegrationFee": 1, "eligibilityRules": "x"}}, "merchantProfile.eligibilityRules"),
        (
            {"merchantProfile": {"minIntegrationFee": 1, "eligibilityRules": [str(n) for n in range(51)]}},
            "merchantProfile.eligibilityRules",
        ),
        ({"merchantProfile": {"minIntegrationFee": 1, "eligibilityRules": [], "x": 1}}, "merchantProfile.x"),
    ],
    ids=lambda value: str(value)[:60].encode("unicode_escape").decode(),
)
async def test_what_an_account_may_not_become(world: World, body: dict[str, Any], field: str) -> None:
    mia = await world.merchant()
    assert field in fields(await mia.patch("/auth/me", body))
    assert ok(await mia.get("/auth/me")) == mia.user


async def test_a_stale_version_is_refused_and_the_current_one_is_taken(world: World) -> None:
    ada = await world.advertiser()
    etag = (await ada.get("/auth/me")).headers["etag"]
    changed = await ada.patch("/auth/me", {"name": "One"}, headers={"If-Match": etag})
    assert ok(changed)["name"] == "One"
    refused(await ada.patch("/auth/me", {"name": "Two"}, headers={"If-Match": etag}), 412, "stale_version")
    assert ok(await ada.patch("/auth/me", {"name": "Two"}, headers={"If-Match": changed.headers["etag"]}))
    assert ok(await ada.get("/auth/me"))["name"] == "Two"


# The directory.


async def test_creators_and_operators_find_buyers(world: World) -> None:
    cleo, ada, mia = await world.creator(), await world.advertiser(name="Ada"), await world.merchant(name="Mia")
    operator = await world.operator()
    expected = [
        {"id": mia.id, "name": "Mia", "role": "Merchant"},
        {"id": ada.id, "name": "Ada", "role": "Advertiser"},
    ]
    for person in (cleo, operator):
        assert ok(await person.get("/buyers")) == expected
    assert ok(await cleo.get("/buyers", params={"role": "Merchant"})) == expected[:1]
    assert ok(await cleo.get("/buyers", params={"role": "", "q": ""})) == expected


async def test_buyers_and_nobody_have_no_directory(world: World) -> None:
    refused(await world.nobody.get("/buyers"), 401)
    for person in (await world.advertiser(), await world.merchant()):
        refused(await person.get("/buyers"), 403, "wrong_role")


async def test_the_directory_is_searched_by_words_of_the_name_alone(world: World) -> None:
    cleo = await world.creator()
    for name in ("100% Cotton", "Ärzte", "snake_case", "back\\slash", "Plain Cotton"):
        await world.advertiser(name=name)
    for query, found in {
        "100%": ["100% Cotton"],
        "cotton": ["Plain Cotton", "100% Cotton"],
        "cotton pl": ["Plain Cotton"],
        "ärz": ["Ärzte"],
        "snake_ca": ["snake_case"],
        "back\\slash": ["back\\slash"],
        "PLAIN": ["Plain Cotton"],
        "lain": [],
        "%%": [],
        "__": [],
        "example.com": [],
        "advertiser": [],
    }.items():
        assert [each["name"] for each in ok(await cleo.get("/buyers", params={"q": query}))] == found, query


@pytest.mark.parametrize(
    "params", [{"q": "x"}, {"q": "x" * 201}, {"role": "Creator"}, {"role": "Operator"}, {"limit": "0"}, {"q": "a\x00b"}]
)
async def test_a_filter_outside_its_set_is_refused(world: World, params: dict[str, str]) -> None:
    cleo = await world.creator()
    assert fields(await cleo.get("/buyers", params=params)) == set(params)


async def test_the_directory_comes_in_pages(world: World) -> None:
    cleo = await world.creator()
    names = [f"Buyer {number}" for number in range(5)]
    for name in names:
        await world.advertiser(name=name)
    found: list[str] = []
    path: str | None = "/buyers?limit=2"
    pages = 0
    while path is not None:
        response = await cleo.get(path)
        found += [each["name"] for each in ok(response)]
        pages += 1
        path = response.links["next"]["url"].removeprefix("/api/v1") if "next" in response.links else None
    assert (found, pages) == (names[::-1], 3)


async def test_an_inactive_buyer_is_in_no_directory(world: World, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    await sql.execute("UPDATE users SET is_active = false WHERE id = $1", ada.user["id"] if ada.user else None)
    assert ok(await cleo.get("/buyers")) == []
    refused(await ada.get("/auth/me"), 401, "session_ended")
