"""Proving an e-mail address by the link that is mailed to it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg

from tests.factories.mailbox import Mailbox
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def token(mailbox: Mailbox) -> str:
    """The token of the newest mail."""
    return mailbox.token((await mailbox.verifications())[-1])


async def verify(world: World, value: Any) -> Any:
    return await world.nobody.post("/auth/verify-email", {"token": value})


async def resend(person: Person) -> Any:
    return await person.post("/auth/verify-email/resend")


async def proven(person: Person) -> str | None:
    found: str | None = ok(await person.get("/auth/me"))["emailVerifiedAt"]
    return found


async def test_a_new_account_works_at_once_and_is_proven_by_the_link(world: World, mailbox: Mailbox, sql: Sql) -> None:
    cleo = await world.creator(name="Cleo")
    assert await proven(cleo) is None
    await world.project(cleo)
    [mail] = await mailbox.verifications()
    assert mail["To"].addresses[0].addr_spec == "creator1@example.com"
    assert "within 24 hours" in mailbox.text(mail)
    before = ok(await cleo.get("/auth/me"))
    response = await verify(world, mailbox.token(mail))
    assert (response.status_code, response.content) == (204, b"")
    me = ok(await cleo.get("/auth/me"))
    assert me == {**before, "emailVerifiedAt": me["emailVerifiedAt"]}
    assert datetime.fromisoformat(me["emailVerifiedAt"]) <= world.now()
    rows = await sql.fetch("SELECT subject_id::text, actor_role, data::text FROM events WHERE action LIKE '%verified'")
    assert [tuple(row) for row in rows] == [(cleo.id, "Anonymous", "{}")]


async def test_a_token_is_good_once(world: World, mailbox: Mailbox, sql: Sql) -> None:
    await world.creator()
    value = await token(mailbox)
    answers = await asyncio.gather(*(verify(world, value) for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [204] + 7 * [422]
    refused(await verify(world, value), 422, "invalid_verification_token", "token")
    assert await sql.fetchval("SELECT count(*) FROM events WHERE action = 'user.email_verified'") == 1


async def test_only_the_newest_token_is_good(world: World, mailbox: Mailbox) -> None:
    cleo = await world.creator()
    first = await token(mailbox)
    response = await resend(cleo)
    assert (response.status_code, response.json()) == (202, {})
    second = await token(mailbox)
    refused(await verify(world, first), 422, "invalid_verification_token")
    assert await proven(cleo) is None
    ok(await verify(world, second))
    assert await proven(cleo)


async def test_a_token_lasts_a_day(world: World, mailbox: Mailbox) -> None:
    cleo = await world.creator()
    value = await token(mailbox)
    world.advance(days=1, seconds=1)
    refused(await verify(world, value), 422, "invalid_verification_token")
    cleo = await world.log_in("creator1@example.com")
    ok(await resend(cleo))
    value = await token(mailbox)
    world.advance(hours=23, minutes=59)
    ok(await verify(world, value))


async def test_what_is_no_token_is_refused(world: World) -> None:
    for value in ("", "x", "x" * 600, "\x00", None, 5, ["x"]):
        refused(await verify(world, value), 422, field="token")


async def test_a_token_proves_its_own_account_and_nothing_else(world: World, mailbox: Mailbox, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    first, second = [mailbox.token(mail) for mail in await mailbox.verifications()]
    refused(
        await world.nobody.post("/auth/reset-password", {"token": first, "newPassword": "x" * 20}),
        422,
        "invalid_reset_token",
    )
    ok(await verify(world, second))
    assert await proven(cleo) is None
    assert await proven(ada)
    for table in ("users", "events", "mails", "email_verifications"):
        text = await sql.fetchval(f"SELECT string_agg(t::text, '|') FROM {table} t")
        assert first not in text
        assert second not in (text or "")


async def test_who_has_proven_it_is_sent_nothing_more(world: World, mailbox: Mailbox) -> None:
    cleo = await world.creator()
    ok(await verify(world, await token(mailbox)))
    since = await proven(cleo)
    ok(await resend(cleo))
    assert len(await mailbox.verifications()) == 1
    assert await proven(cleo) == since


async def test_a_password_reset_proves_the_address(world: World, mailbox: Mailbox, sql: Sql) -> None:
    await world.creator()
    link = await token(mailbox)
    ok(await world.nobody.post("/auth/forgot-password", {"email": "creator1@example.com"}))
    value = mailbox.token((await mailbox.delivered())[-1])
    ok(await world.nobody.post("/auth/reset-password", {"token": value, "newPassword": "another password"}))
    cleo = await world.log_in("creator1@example.com", "another password")
    assert await proven(cleo)
    refused(await verify(world, link), 422, "invalid_verification_token")
    actions = [
        row[0] for row in await sql.fetch("SELECT action FROM events WHERE action LIKE 'user.%' ORDER BY at, id")
    ]
    assert actions[-2:] == ["user.email_verified", "user.password_reset"]


async def test_a_deactivated_or_deleted_account_cannot_prove_anything(world: World, mailbox: Mailbox, sql: Sql) -> None:
    cleo, mo, olga = await world.creator(), await world.merchant(), await world.operator()
    first, second = [mailbox.token(mail) for mail in await mailbox.verifications()]
    ok(await olga.patch(f"/operator/users/{cleo.id}", {"isActive": False}))
    ok(await mo.delete("/auth/me"))
    refused(await verify(world, first), 422, "invalid_verification_token")
    refused(await verify(world, second), 422, "invalid_verification_token")
    assert await sql.fetchval("SELECT count(email_verified_at) FROM users") == 0


async def test_leaving_takes_the_proof_along(world: World, mailbox: Mailbox, sql: Sql) -> None:
    cleo = await world.creator()
    ok(await verify(world, await token(mailbox)))
    ok(await cleo.delete("/auth/me"))
    assert await sql.fetchval("SELECT count(email_verified_at) FROM users") == 0


async def test_asking_again_needs_a_session_and_has_a_limit(world: World, mailbox: Mailbox) -> None:
    refused(await resend(world.nobody), 401, "not_signed_in")
    cleo, ada = await world.creator(), await world.advertiser()
    assert [(await resend(cleo)).status_code for _ in range(4)] == [202, 202, 202, 429]
    ok(await resend(ada))


async def test_the_token_is_bound_to_the_installations_secret(world: World, mailbox: Mailbox, sql: Sql) -> None:
    """A mail written under another secret would carry a token that fits nothing: it is not sent."""
    await world.creator()
    await sql.execute("UPDATE email_verifications SET token_hash = sha256('another')")
    assert await mailbox.verifications() == []
    assert await sql.fetchval("SELECT status FROM mails") == "Dropped"
