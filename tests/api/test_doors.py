"""The changing door: nothing is answered before it is committed, and a key's answer is given again byte for byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any, TypeAlias

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from tests.factories.dumps import dump
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
BODY = {"amount": 1500, "objective": "x"}


@pytest.mark.parametrize("table", ["bids", "comments", "approvals", "commitments"])
async def test_a_commit_that_fails_is_never_answered_as_a_success(
    world: World, sql: Sql, app: FastAPI, table: str
) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot, other = await world.slot(cleo), await world.slot(cleo)
    bid = await world.bid(ada, slot)
    accepted = await world.accepted(cleo, ada, other)
    free = await world.slot(cleo)
    await sql.execute(
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$;
        CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION fail();
        """
    )
    path, body, person = {
        "bids": (f"/slots/{free['id']}/bids", BODY, ada),
        "comments": (f"/bids/{bid['id']}/comments", {"text": "x"}, ada),
        "approvals": (f"/bids/{bid['id']}/approve", {}, cleo),
        "commitments": (f"/bids/{accepted['id']}/commit", {}, ada),
    }[table]
    before = await dump(sql)
    for headers in ({}, {"Idempotency-Key": "k"}):
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://backdrop.test") as client:
            response = await Person(client, person.token).post(path, body, headers=headers)
        assert response.status_code == 500
        assert "disk on fire" not in response.text
    assert await dump(sql) == before
    assert await sql.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    await sql.execute(f"DROP TRIGGER fail ON {table}")
    assert (await person.post(path, body, headers={"Idempotency-Key": "k"})).is_success


@pytest.mark.parametrize("left", [True, False])
async def test_what_waits_for_its_turn_when_its_client_leaves_is_not_begun(
    world: World, sql: Sql, app: FastAPI, left: bool
) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    database = app.state.database
    taken = [database.reading() for _ in range(database.settings.db_pool_size)]
    for each in taken:
        await each.__aenter__()
    state: dict[str, bool] = {}
    sent: list[int] = []
    waiting = asyncio.create_task(call(app, f"/api/v1/slots/{slot['id']}/bids", ada, state, sent))
    await asyncio.sleep(0.1)
    if left:
        state["client_left"] = True  # as backend/core/connections.py notes it
    for each in taken:
        await each.__aexit__(None, None, None)
    await waiting
    assert sent == [400 if left else 201]
    assert await sql.fetchval("SELECT count(*) FROM bids") == (0 if left else 1)


async def call(app: FastAPI, path: str, person: Person, state: dict[str, bool], sent: list[int]) -> None:
    """A POST of a bid as a server hands it over, with the request's state in our hands."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": json.dumps(BODY).encode(), "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            sent.append(message["status"])

    headers = [(b"authorization", f"Bearer {person.token}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers, "state": state}
    await app(scope, receive, send)


async def test_the_same_key_gets_the_same_bytes_again(world: World, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    key = {"Idempotency-Key": "a key of my own"}
    first = await ada.post(f"/slots/{slot['id']}/bids", BODY, headers=key)
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    ok(await cleo.post(f"/bids/{first.json()['id']}/decline", {"reason": "fit"}))
    before = await dump(sql)
    again = await ada.post(f"/slots/{slot['id']}/bids", BODY, headers=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    assert await dump(sql) == before


async def test_a_key_stands_for_one_request_of_one_caller(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo)
    key = {"Idempotency-Key": "k-1"}
    bid = ok(await ada.post(f"/slots/{slot['id']}/bids", BODY, headers=key))
    other_body = await ada.post(f"/slots/{slot['id']}/bids", {**BODY, "amount": 1501}, headers=key)
    refused(other_body, 422, "idempotency_key_reused", "Idempotency-Key")
    refused(await ada.post(f"/bids/{bid['id']}/withdraw", headers=key), 422, "idempotency_key_reused")
    rival = ok(await mel.post(f"/slots/{slot['id']}/bids", BODY, headers=key))
    assert rival["id"] != bid["id"]
    for bad in ("", "x" * 256, "naïve".encode()):
        refused(await ada.post(f"/bids/{bid['id']}/withdraw", headers={"Idempotency-Key": bad}), 422)
    assert ok(await ada.get(f"/bids/{bid['id']}"))["status"] == "Pending"


async def test_a_refusal_is_judged_anew(world: World) -> None:
    cleo, ada, mel = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo, modality="PG/Reservation")
    holder = await world.bid(mel, slot)
    key = {"Idempotency-Key": "k-1"}
    refused(await ada.post(f"/slots/{slot['id']}/bids", BODY, headers=key), 409, "slot_locked")
    ok(await mel.post(f"/bids/{holder['id']}/withdraw"))
    placed = await ada.post(f"/slots/{slot['id']}/bids", BODY, headers=key)
    assert (placed.status_code, placed.json()["holdsSlot"]) == (201, True)


async def test_terms_comments_and_every_action_repeat_under_a_key(world: World, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.bid(ada, await world.slot(cleo))
    path = f"/bids/{bid['id']}"
    for number, (person, action, body) in enumerate(
        [
            (ada, "comments", {"text": "Hello."}),
            (cleo, "terms", {"baseVersion": 1, "amount": 1600}),
            (cleo, "approve", {}),
            (ada, "approve", {}),
            (ada, "commit", {}),
        ]
    ):
        headers = {"Idempotency-Key": str(number)}
        first = await person.post(f"{path}/{action}", body, headers=headers)
        before = await dump(sql)
        again = await person.post(f"{path}/{action}", body, headers=headers)
        assert (first.is_success, again.status_code, again.content) == (True, first.status_code, first.content)
        assert again.headers["idempotent-replayed"] == "true"
        assert await dump(sql) == before
