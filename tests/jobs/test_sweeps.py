"""What has served is deleted after its time, and never before."""

from __future__ import annotations

import asyncio
from typing import TypeAlias

import asyncpg

from backend.core.database import Database
from backend.jobs.sweeps import sweep_keys, sweep_mails, sweep_security_events, sweep_sessions, sweep_sign_ins
from backend.jobs.worker import JOBS
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


async def test_a_key_is_kept_for_its_time_and_swept_after_it(
    world: World, database: Database, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    creator, buyer = await world.creator(), await world.advertiser()
    bid = await world.bid(buyer, await world.slot(creator))
    path = f"/bids/{bid['id']}/comments"
    for number in range(3):
        ok(await buyer.post(path, {"text": "Hello"}, headers={"Idempotency-Key": f"old {number}"}))
    world.advance(hours=25)
    buyer = await world.log_in(str(buyer.user and buyer.user["email"]))
    assert await sweep_keys(database) == 0
    again = await buyer.post(path, {"text": "Hello"}, headers={"Idempotency-Key": "old 0"})
    assert again.headers["idempotent-replayed"] == "true"

    ok(await buyer.post(path, {"text": "Hello"}, headers={"Idempotency-Key": "young"}))
    world.advance(hours=24)
    assert await sweep_keys(database, limit=2) == 2
    assert await sweep_keys(database, limit=2) == 1
    assert [row["key"] for row in await sql.fetch("SELECT key FROM idempotency_keys")] == ["young"]


async def test_a_session_is_swept_with_its_last_token_long_after_it_ran_out(
    world: World, database: Database, sql: Sql
) -> None:
    ada = await world.advertiser()
    for _ in range(3):
        ada.refresh_token = ok(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}))[
            "refreshToken"
        ]
    assert await _counts(sql) == (1, 4)
    world.advance(days=59)
    other = await world.merchant()
    assert await sweep_sessions(database) == 0
    world.advance(days=2)
    assert await sweep_sessions(database, limit=3) == 3, "a bounded number at a time"
    assert await _counts(sql) == (2, 2), "the session stays while a token of it does"
    assert await sweep_sessions(database, limit=3) == 1
    assert await _counts(sql) == (1, 1)
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}), 401, "invalid_token")
    ok(await world.nobody.post("/auth/refresh", {"refreshToken": other.refresh_token}))


async def test_two_sweeps_at_once_leave_no_session_without_tokens(world: World, database: Database, sql: Sql) -> None:
    for _ in range(4):
        ada = await world.advertiser()
        ok(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}))
    world.advance(days=61)
    swept = await asyncio.gather(*(sweep_sessions(database, limit=1) for _ in range(8)))
    assert sum(swept) == 8
    assert await _counts(sql) == (0, 0)


async def _counts(sql: Sql) -> tuple[int, int]:
    row = await sql.fetchrow("SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM refresh_tokens)")
    assert row is not None
    return row[0], row[1]


async def test_a_used_token_that_comes_back_late_still_ends_its_session(world: World, database: Database) -> None:
    """Sweeping takes no used token while a copy of it could be good for something."""
    ada = await world.advertiser()
    pair = ok(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}))
    world.advance(days=29)
    assert await sweep_sessions(database) == 0
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}), 401, "refresh_token_used")
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": pair["refreshToken"]}), 401, "session_ended")


async def test_mails_that_wait_are_kept_and_ended_ones_swept(world: World, database: Database, sql: Sql) -> None:
    await world.advertiser()
    for _ in range(3):
        ok(await world.nobody.post("/auth/forgot-password", {"email": "advertiser1@example.com"}))
    asked = "mails WHERE kind = 'password_reset'"
    [first, second, third] = [row["id"] for row in await sql.fetch(f"SELECT id FROM {asked} ORDER BY id")]
    for mail, age in ((first, "31 days"), (second, "29 days")):
        await sql.execute(f"UPDATE mails SET status = 'Sent', ended_at = now() - interval '{age}' WHERE id = $1", mail)
    await sql.execute("UPDATE mails SET created_at = now() - interval '1 year' WHERE id = $1", third)
    assert await sweep_mails(database) == 1
    assert {row["id"] for row in await sql.fetch(f"SELECT id FROM {asked}")} == {second, third}


async def test_old_security_events_are_swept_and_no_other_event_ever_is(
    world: World, database: Database, sql: Sql
) -> None:
    await world.committed(await world.creator(), await world.advertiser())
    await sql.execute("""
        INSERT INTO security_events (id, at, actor_role, action, subject_type, data)
        SELECT gen_random_uuid(), now() - make_interval(days => n), 'Anonymous', 'token.refused', 'user', '{}'
        FROM unnest(ARRAY[179, 181, 400]) AS n
    """)
    events = await sql.fetchval("SELECT count(*) FROM events")
    seen = await sql.fetchval("SELECT count(*) FROM security_events")
    assert await sweep_security_events(database, limit=1) == 1
    assert [await sweep_security_events(database) for _ in range(2)] == [1, 0]
    assert await sql.fetchval("SELECT count(*) FROM security_events") == seen - 2
    assert await sql.fetchval("SELECT count(*) FROM events") == events


async def test_a_sign_in_that_nobody_took_up_is_swept_once_it_has_run_out(database: Database, sql: Sql) -> None:
    await sql.execute("""
        INSERT INTO sign_ins (id, provider, state_hash, browser_hash, challenge, redirect_uri, expires_at)
        SELECT gen_random_uuid(), 'google', sha256(n::text::bytea), sha256('b'), 'c', 'r',
            now() + make_interval(mins => n)
        FROM unnest(ARRAY[-30, -20, -1, 5]) AS n
    """)
    assert await sweep_sign_ins(database, limit=2) == 2
    assert [await sweep_sign_ins(database) for _ in range(2)] == [1, 0]
    assert await sql.fetchval("SELECT count(*) FROM sign_ins WHERE expires_at > now()") == 1


def test_the_worker_sweeps() -> None:
    assert {sweep_keys, sweep_sessions, sweep_mails, sweep_security_events, sweep_sign_ins} <= set(JOBS)
