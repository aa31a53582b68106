"""Changing a password, and finding back in without one."""

from __future__ import annotations

import asyncio
import time
from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.core import passwords
from backend.core.config import Settings
from backend.core.errors import Invalid
from backend.services import maintenance
from tests.factories.mailbox import Mailbox
from tests.factories.people import Person
from tests.factories.refusals import fields, refused
from tests.factories.world import PASSWORD, World, ok
from tests.faults.arena import connected
from tests.races.queues import line_up

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

NEXT = "another password altogether"
EMAIL = "advertiser1@example.com"


async def forgot(world: World, email: str = EMAIL) -> Any:
    return await world.nobody.post("/auth/forgot-password", {"email": email})


async def reset(world: World, token: str, password: str = NEXT) -> Any:
    return await world.nobody.post("/auth/reset-password", {"token": token, "newPassword": password})


async def change(person: Person, current: str = PASSWORD, new: str = NEXT) -> Any:
    return await person.put("/auth/me/password", {"currentPassword": current, "newPassword": new})


async def wrong_login(world: World, password: str) -> None:
    refused(await world.nobody.post("/auth/login", {"email": EMAIL, "password": password}), 401, "wrong_credentials")


# Changing.


async def test_a_changed_password_ends_the_other_sessions_and_keeps_this_one(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    other = await world.log_in(EMAIL)
    stranger = await world.merchant()
    response = await change(ada)
    assert (response.status_code, response.content) == (204, b"")
    ok(await ada.get("/auth/me"))
    ok(await stranger.get("/auth/me"))
    refused(await other.get("/auth/me"), 401, "session_ended")
    renewed = await world.nobody.post("/auth/refresh", {"refreshToken": other.refresh_token})
    refused(renewed, 401, "session_ended")
    await wrong_login(world, PASSWORD)
    await world.log_in(EMAIL, NEXT)
    row = await sql.fetchrow("SELECT actor_id::text, data::text FROM events WHERE action = 'user.password_changed'")
    assert row is not None
    assert (row["actor_id"], row["data"]) == (ada.id, "{}")


async def test_a_wrong_current_password_changes_nothing(world: World, sql: Sql) -> None:
    ada = await world.advertiser()
    other = await world.log_in(EMAIL)
    before = await sql.fetchval("SELECT password_hash FROM users")
    problem = refused(await change(ada, "not the current one"), 422, "wrong_password", "currentPassword")
    assert "not the current one" not in str(problem)
    assert await sql.fetchval("SELECT password_hash FROM users") == before
    ok(await other.get("/auth/me"))


async def test_of_many_changes_at_once_one_counts(world: World) -> None:
    await world.advertiser()
    people = [await world.log_in(EMAIL) for _ in range(4)]
    answers = await asyncio.gather(*(change(each, new=f"{NEXT} {n}") for n, each in enumerate(people)))
    assert sorted(each.status_code for each in answers)[0] == 204
    assert all(each.status_code in (401, 422) for each in answers if each.status_code != 204)
    [winner] = [n for n, each in enumerate(answers) if each.status_code == 204]
    await world.log_in(EMAIL, f"{NEXT} {winner}")


async def test_changing_a_password_needs_a_session(world: World) -> None:
    await world.advertiser()
    refused(await change(world.nobody), 401, "not_signed_in")
    refused(await world.nobody.put("/auth/me/password", {"currentPassword": 1}), 401)
    refused(await world.nobody.call("PUT", "/auth/me/password", content=b"x"), 401)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"currentPassword": PASSWORD, "newPassword": "short"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "x" * 1025}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": "12345678\x00"}, "newPassword"),
        ({"currentPassword": PASSWORD, "newPassword": None}, "newPassword"),
        ({"currentPassword": PASSWORD}, "newPassword"),
        ({"newPassword": NEXT}, "currentPassword"),
        ({"currentPassword": PASSWORD, "newPassword": NEXT, "userId": "x"}, "userId"),
    ],
)
async def test_a_change_of_the_wrong_shape_is_refused(world: World, body: dict[str, Any], field: str) -> None:
    ada = await world.advertiser()
    response = await ada.put("/auth/me/password", body)
    assert fields(response) == {field}
    assert "xxx" not in response.text
    await world.log_in(EMAIL)


# Forgetting.


async def test_a_forgotten_password_is_set_anew_by_the_token_from_the_mail(
    world: World, sql: Sql, mailbox: Mailbox
) -> None:
    ada = await world.advertiser()
    response = await forgot(world, EMAIL.upper())
    assert (response.status_code, response.json()) == (202, {})
    [mail] = await mailbox.delivered()
    assert mail["To"].endswith(f"<{EMAIL}>")
    response = await reset(world, mailbox.token(mail))
    assert (response.status_code, response.content) == (204, b"")
    refused(await ada.get("/auth/me"), 401, "session_ended")
    await wrong_login(world, PASSWORD)
    await world.log_in(EMAIL, NEXT)
    actions = [row["action"] for row in await sql.fetch("SELECT action FROM events WHERE actor_id IS NULL ORDER BY id")]
    assert actions == ["user.created", "user.password_forgotten", "user.email_verified", "user.password_reset"]


async def test_a_token_is_stored_as_a_hash_only_and_is_in_no_log(
    world: World, sql: Sql, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    await world.advertiser()
    await forgot(world)
    [mail] = await mailbox.delivered()
    token = mailbox.token(mail)
    ok(await reset(world, token))
    for table in ("users", "events", "mails", "password_resets", "sessions", "idempotency_keys"):
        assert token not in str(await sql.fetch(f"SELECT {table}::text FROM {table}")), table
    told = caplog.text
    assert "mail sent" in told
    for secret in (token, EMAIL, NEXT):
        assert secret not in told


async def test_a_token_is_good_once(world: World, mailbox: Mailbox) -> None:
    await world.advertiser()
    await forgot(world)
    token = mailbox.token((await mailbox.delivered())[0])
    answers = await asyncio.gather(*(reset(world, token, f"{NEXT} {n}") for n in range(50)))
    assert sorted(each.status_code for each in answers) == [204] + [422] * 49
    refused(await reset(world, token), 422, "invalid_reset_token", "token")
    [winner] = [n for n, each in enumerate(answers) if each.status_code == 204]
    await world.log_in(EMAIL, f"{NEXT} {winner}")


async def test_only_the_newest_token_is_good(world: World, mailbox: Mailbox) -> None:
    await world.advertiser()
    await forgot(world)
    first = mailbox.token((await mailbox.delivered())[0])
    await forgot(world)
    second = mailbox.token((await mailbox.delivered())[1])
    refused(await reset(world, first), 422, "invalid_reset_token")
    ok(await reset(world, second))


async def test_a_token_lasts_thirty_minutes(world: World, mailbox: Mailbox) -> None:
    await world.advertiser()
    await forgot(world)
    token = mailbox.token((await mailbox.delivered())[0])
    world.advance(minutes=30)
    refused(await reset(world, token), 422, "invalid_reset_token")
    await forgot(world)
    token = mailbox.token((await mailbox.delivered())[1])
    world.advance(minutes=29)
    ok(await reset(world, token))


async def test_changing_the_password_takes_the_token_back(world: World, mailbox: Mailbox) -> None:
    ada = await world.advertiser()
    await forgot(world)
    token = mailbox.token((await mailbox.delivered())[0])
    ok(await change(ada))
    refused(await reset(world, token), 422, "invalid_reset_token")


async def test_a_reset_and_a_change_at_once_lock_the_account_first(
    world: World, sql: Sql, dsn: str, mailbox: Mailbox
) -> None:
    """Else each would wait for what the other holds: the change for the token, the reset for the account."""
    ada = await world.advertiser()
    await forgot(world)
    token = mailbox.token((await mailbox.delivered())[0])
    async with connected(dsn) as watcher, sql.transaction():
        await sql.execute("SET LOCAL lock_timeout = '500ms'")
        await sql.execute("UPDATE users SET updated_at = updated_at WHERE id = $1", ada.id)
        [waiting] = await line_up(watcher, [reset(world, token)])
        await sql.execute("DELETE FROM password_resets WHERE user_id = $1", ada.id)
    refused(await waiting, 422, "invalid_reset_token")


async def test_unknown_and_inactive_addresses_get_the_same_answer_and_no_mail(
    world: World, sql: Sql, mailbox: Mailbox
) -> None:
    await world.advertiser()
    known = await forgot(world)
    unknown = await forgot(world, "nobody@example.com")
    await sql.execute("UPDATE users SET is_active = false")
    inactive = await forgot(world)
    assert {(each.status_code, each.content) for each in (known, unknown, inactive)} == {(202, b"{}")}
    assert await sql.fetchval("SELECT count(*) FROM password_resets") == 1
    assert await mailbox.delivered() == [], "the account was switched off before the mail went out"


async def test_unknown_addresses_take_the_time_of_known_ones(world: World) -> None:
    await world.advertiser()

    async def seconds(email: str) -> float:
        started = time.perf_counter()
        ok(await forgot(world, email))
        return time.perf_counter() - started

    known = sorted([await seconds(EMAIL) for _ in range(5)])[2]
    unknown = sorted([await seconds("nobody@example.com") for _ in range(5)])[2]
    assert known >= 0.25
    assert unknown >= 0.25
    assert abs(known - unknown) < 0.05


@pytest.mark.parametrize("token", ["x", "é", "x" * 512])
async def test_an_invented_token_resets_nothing(world: World, token: str) -> None:
    await world.advertiser()
    await forgot(world)
    refused(await reset(world, token), 422, "invalid_reset_token", "token")
    await world.log_in(EMAIL)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/auth/forgot-password", {}, "email"),
        ("/auth/forgot-password", {"email": "no address"}, "email"),
        ("/auth/forgot-password", {"email": "a@example.com", "x": 1}, "x"),
        ("/auth/reset-password", {"token": "x"}, "newPassword"),
        ("/auth/reset-password", {"newPassword": NEXT}, "token"),
        ("/auth/reset-password", {"token": "", "newPassword": NEXT}, "token"),
        ("/auth/reset-password", {"token": "x" * 513, "newPassword": NEXT}, "token"),
        ("/auth/reset-password", {"token": "x", "newPassword": "short"}, "newPassword"),
        ("/auth/reset-password", {"token": "x", "newPassword": NEXT, "email": "a@example.com"}, "email"),
    ],
)
async def test_a_way_back_of_the_wrong_shape_is_refused(
    world: World, path: str, body: dict[str, Any], field: str
) -> None:
    assert fields(await world.nobody.post(path, body)) == {field}


async def test_a_deactivated_user_cannot_reset(world: World, sql: Sql, mailbox: Mailbox) -> None:
    await world.advertiser()
    await forgot(world)
    token = mailbox.token((await mailbox.delivered())[0])
    await sql.execute("UPDATE users SET is_active = false")
    refused(await reset(world, token), 422, "invalid_reset_token")


async def test_the_token_is_bound_to_the_installations_secret(
    world: World, sql: Sql, mailbox: Mailbox, settings: Settings
) -> None:
    """A mail written under another secret would carry a token that fits nothing: it is not sent."""
    await world.advertiser()
    await forgot(world)
    await sql.execute("UPDATE password_resets SET token_hash = sha256('another')")
    assert await mailbox.delivered() == []
    assert await sql.fetchval("SELECT status FROM mails WHERE kind = 'password_reset'") == "Dropped"


GUESSED = [
    "12345678",
    "Password123",
    "  QWERTYUIOP ",
    "ＰＡＳＳＷＯＲＤ",
    "BackDrop",
    "ADVERTISER1",
    EMAIL.upper(),
    "ada LOVELACE",
]


@pytest.mark.parametrize("password", GUESSED)
async def test_a_password_that_everybody_guesses_is_refused_wherever_one_is_set(
    world: World, mailbox: Mailbox, sql: Sql, password: str
) -> None:
    """ASVS 5.0, 6.2.4: common ones, and the account's own words, whatever their letter case and width."""
    body = {"email": EMAIL, "name": "Ada Lovelace", "role": "Advertiser", "password": password}
    refused(await world.nobody.post("/auth/signup", body), 422, "common_password", "password")
    assert await sql.fetchval("SELECT count(*) FROM users") == 0
    ada = await world.sign_up("Advertiser", "Ada Lovelace")
    digest = await sql.fetchval("SELECT password_hash FROM users")
    refused(await change(ada, new=password), 422, "common_password", "newPassword")
    await forgot(world)
    token = mailbox.token((await mailbox.delivered())[0])
    refused(await reset(world, token, password), 422, "common_password", "newPassword")
    assert await sql.fetchval("SELECT password_hash FROM users") == digest
    assert (await reset(world, token)).status_code == 204, "the refusal did not use the token up"


async def test_no_operator_is_made_with_a_common_password(dsn: str, settings: Settings) -> None:
    with pytest.raises(Invalid, match="most used passwords"):
        await maintenance.create_operator(dsn, settings, "olga@example.com", "Olga", "Password1")


def test_the_list_is_long_enough_for_asvs() -> None:
    assert len([each for each in passwords._common() if len(each) >= 8]) > 3000
