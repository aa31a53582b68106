"""The record of security: every line when it should be and never else, without secrets, and with an end."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import httpx2
import pytest
from fastapi import FastAPI

from backend.core.database import Database
from backend.core.errors import NotFound
from backend.dependencies.security import MOST_A_MINUTE
from backend.jobs import security
from backend.policies.security import Sighting
from backend.services import maintenance
from tests.factories.mailbox import Mailbox
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import PASSWORD, World, ok
from tests.security.stage import staged
from tests.security.test_matrix import KNOWN, callers

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Line: TypeAlias = dict[str, Any]
EMAIL = "advertiser1@example.com"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def lines(app: FastAPI, database: Database, sql: Sql) -> Callable[[], Awaitable[list[Line]]]:
    """What was written since the last look, oldest first."""
    seen: set[Any] = set()

    async def new() -> list[Line]:
        await security.write_down(database, app.state.tally)
        rows = await sql.fetch("SELECT * FROM security_events ORDER BY at, id")
        found = [{**row, "data": json.loads(row["data"])} for row in rows if row["id"] not in seen]
        seen.update(row["id"] for row in rows)
        return found

    return new


def _said(line: Line) -> tuple[str, str | None, str | None, Any]:
    """A line in short: action, who, about whom, how often."""
    actor, subject = line["actor_id"], line["subject_id"]
    return line["action"], actor and str(actor), subject and str(subject), line["count"]


async def test_signing_in_and_out_is_on_the_record_with_where_from(world: World, lines: Any) -> None:
    ada = await world.advertiser()
    again = await world.log_in(EMAIL)
    ok(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}))
    ok(await world.nobody.post("/auth/logout", {"refreshToken": again.refresh_token}))
    ok(await ada.get("/auth/me"))
    found = await lines()
    assert [(each["action"], each["data"].get("reason")) for each in found] == [
        ("session.opened", None),
        ("session.opened", None),
        ("session.refreshed", None),
        ("session.ended", "logout"),
    ]
    assert {(str(each["actor_id"]), str(each["subject_id"])) for each in found} == {(ada.id, ada.id)}
    [client] = {each["client"] for each in found}
    assert len(client) == 16
    assert all(each["request_id"] for each in found)
    assert found[0]["data"]["session_id"] == found[2]["data"]["session_id"]


async def test_a_failed_sign_in_is_counted_for_the_account_that_was_meant_if_there_is_one(
    world: World, lines: Any
) -> None:
    ada = await world.advertiser()
    await lines()
    for email, password in ((EMAIL, "wrong 1"), (EMAIL.upper(), "wrong 2"), ("x@example.com", PASSWORD)):
        refused(await world.nobody.post("/auth/login", {"email": email, "password": password}), 401)
    form = {"username": "y@example.com", "password": "wrong"}
    refused(await world.nobody.post("/auth/token", data=form), 401)
    found = await lines()
    assert [(*_said(each), each["data"]["operation"]) for each in found] == [
        ("session.refused", None, ada.id, 2, "logIn"),
        ("session.refused", None, None, 1, "logIn"),
        ("session.refused", None, None, 1, "getToken"),
    ]
    assert {each["actor_role"] for each in found} == {"Anonymous"}


async def test_wrong_passwords_reset_tokens_and_forged_tokens_are_counted(world: World, lines: Any) -> None:
    ada = await world.advertiser()
    await lines()
    body = {"currentPassword": "not this one", "newPassword": "another password altogether"}
    refused(await ada.put("/auth/me/password", body), 422, "wrong_password")
    body = {"token": "a" * 43, "newPassword": "another password altogether"}
    refused(await world.nobody.post("/auth/reset-password", body), 422, "invalid_reset_token")
    refused(await Person(world.client, "forged.token.here").get("/auth/me"), 401, "invalid_token")
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": "b" * 43}), 401, "invalid_token")
    assert [(*_said(each), each["data"]["operation"]) for each in await lines()] == [
        ("password.refused", ada.id, ada.id, 1, "changePassword"),
        ("password.refused", None, None, 1, "resetPassword"),
        ("token.refused", None, None, 1, "getMe"),
        ("token.refused", None, None, 1, "refreshSession"),
    ]


async def test_a_copied_refresh_token_shows_on_the_record(world: World, lines: Any) -> None:
    ada = await world.advertiser()
    ok(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}))
    world.advance(seconds=11)
    await lines()
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}), 401, "refresh_token_used")
    found = {each["action"]: each for each in await lines()}
    assert set(found) == {"session.ended", "token.refused"}
    assert found["session.ended"]["data"]["reason"] == "reuse"
    assert str(found["session.ended"]["subject_id"]) == str(found["token.refused"]["subject_id"]) == ada.id


@pytest.mark.parametrize("way", ["password_changed", "password_reset", "deactivated", "left"])
async def test_every_session_that_ends_with_something_else_is_told_one_by_one(
    world: World, lines: Any, sql: Sql, database: Database, way: str
) -> None:
    ada = await world.advertiser()
    for _ in range(2):
        await world.log_in(EMAIL)
    olga = await world.operator()
    sessions = {str(row["id"]) for row in await sql.fetch("SELECT id FROM sessions WHERE user_id = $1", ada.id)}
    new = "another password altogether"
    await lines()
    if way == "password_changed":
        kept = next(each["id"] for each in ok(await ada.get("/auth/sessions")) if each["current"])
        sessions.discard(kept)
        ok(await ada.put("/auth/me/password", {"currentPassword": PASSWORD, "newPassword": new}))
    elif way == "password_reset":
        ok(await world.nobody.post("/auth/forgot-password", {"email": EMAIL}))
        mailbox = Mailbox(database)
        token = mailbox.token((await mailbox.delivered())[0])
        ok(await world.nobody.post("/auth/reset-password", {"token": token, "newPassword": new}))
    elif way == "deactivated":
        ok(await olga.patch(f"/operator/users/{ada.id}", {"isActive": False}))
    else:
        ok(await ada.delete("/auth/me"))
    found = [each for each in await lines() if each["action"] == "session.ended"]
    assert {each["data"]["session_id"] for each in found} == sessions
    assert {each["data"]["reason"] for each in found} == {way}
    assert len(found) == len(sessions)


async def test_an_operator_signs_one_account_or_all_out_from_the_command_line(
    world: World, lines: Any, dsn: str, settings: Any
) -> None:
    ada, mia, olga = await world.advertiser(), await world.merchant(), await world.operator()
    await world.log_in(EMAIL)
    await lines()
    assert await maintenance.end_sessions(dsn, settings, EMAIL.upper()) == 2
    refused(await ada.patch("/auth/me", {}), 401, "session_ended")
    ok(await mia.patch("/auth/me", {}))
    found = await lines()
    assert [(each["action"], each["data"]["reason"]) for each in found] == [
        ("session.ended", "ended_by_operator"), ("session.ended", "ended_by_operator"),
    ]  # fmt: skip
    assert {(each["actor_role"], str(each["subject_id"])) for each in found} == {("System", ada.id)}
    assert await maintenance.end_sessions(dsn, settings, None) == 2
    for person in (mia, olga):
        refused(await person.patch("/auth/me", {}), 401, "session_ended")
    with pytest.raises(NotFound):
        await maintenance.end_sessions(dsn, settings, "unknown@example.com")


async def test_every_403_of_the_matrix_is_one_line_for_its_caller_and_call(
    world: World, settings: Any, lines: Any
) -> None:
    stage = await staged(world, settings.jwt_secret.get_secret_value())
    world.freeze()
    await lines()
    wanted = set()
    for operation in KNOWN:
        for caller in callers(operation, "3"):
            refused(await stage.call(caller, operation), 403)
            wanted.add((stage.people[caller].id, operation.id))
    found = [each for each in await lines() if each["action"] == "access.refused"]
    assert {(str(each["actor_id"]), each["data"]["operation"]) for each in found} == wanted
    assert len(found) == len(wanted) > 90
    assert {each["count"] for each in found} == {1}


async def test_asking_for_what_is_not_there_is_counted_for_a_known_caller(world: World, lines: Any) -> None:
    ada, cleo = await world.advertiser(), await world.creator()
    hidden = await world.slot(cleo, visibility="Private")
    await lines()
    for _ in range(3):
        refused(await ada.get(f"/slots/{hidden['id']}"), 404)
    refused(await world.nobody.get("/nowhere"), 404)
    refused(await world.nobody.get(f"/slots/{hidden['id']}"), 401, "not_signed_in")
    assert [_said(each) for each in await lines()] == [("access.not_found", ada.id, ada.id, 3)]


async def test_too_many_tries_are_counted(world: World, lines: Any) -> None:
    await world.advertiser()
    await lines()
    for number in range(7):
        await world.nobody.post("/auth/login", {"email": EMAIL, "password": f"wrong {number}"})
    found = {each["action"]: each["count"] for each in await lines()}
    assert found == {"session.refused": 5, "access.limited": 2}


async def test_what_succeeds_or_is_merely_wrong_is_no_refusal(world: World, lines: Any) -> None:
    ada = await world.advertiser()
    await lines()
    ok(await ada.get("/slots"))
    refused(await ada.patch("/auth/me", {"name": 7}), 422)
    refused(await world.nobody.get("/auth/me"), 401)
    refused(await ada.patch("/auth/me", {"merchantProfile": {"minIntegrationFee": 1, "eligibilityRules": []}}), 409)
    assert await lines() == []


# An end to it.


async def test_a_flood_of_one_kind_is_one_line_a_minute(world: World, lines: Any) -> None:
    ada = await world.advertiser()
    world.freeze()
    await lines()
    for _ in range(40):
        refused(await ada.get("/operator/events"), 403)
    [line] = await lines()
    assert line["count"] == 40
    for _ in range(5):
        refused(await ada.get("/operator/events"), 403)
    assert await lines() == [], "the same minute counts on in the same line"
    world.advance(minutes=1)
    refused(await ada.get("/operator/events"), 403)
    [line] = await lines()
    assert line["count"] == 1


async def test_a_flood_of_many_kinds_has_an_end_and_the_record_says_how_much_it_leaves_out(
    world: World, app: FastAPI, database: Database, sql: Sql
) -> None:
    ada = await world.advertiser()
    world.freeze()
    for number in range(MOST_A_MINUTE + 50):  # as many addresses, as a trusted proxy would tell them
        app.state.tally.add(_thing(number), world.now(), None)
    refused(await ada.get("/operator/events"), 403)
    assert await security.write_down(database, app.state.tally) == MOST_A_MINUTE + 1
    rows = await sql.fetch("SELECT count FROM security_events WHERE action = 'record.overflowed'")
    assert [row["count"] for row in rows] == [51]


def _thing(number: int) -> Sighting:
    return Sighting("session.refused", "logIn", None, None, "Anonymous", None, f"{number:016x}")


async def test_a_refusal_stays_one_while_the_record_cannot_be_written(
    world: World, app: FastAPI, database: Database, sql: Sql, lines: Any
) -> None:
    ada = await world.advertiser()
    world.freeze()
    await lines()
    await sql.execute("ALTER TABLE security_events RENAME TO elsewhere")
    for _ in range(3):
        refused(await ada.get("/operator/events"), 403)
        with pytest.raises(asyncpg.UndefinedTableError):
            await security.write_down(database, app.state.tally)
    await sql.execute("ALTER TABLE elsewhere RENAME TO security_events")
    assert [_said(each) for each in await lines()] == [("access.refused", ada.id, ada.id, 3)]


async def test_lines_are_not_written_by_the_request_itself(world: World, app: FastAPI, sql: Sql) -> None:
    ada = await world.advertiser()
    before = await sql.fetchval("SELECT count(*) FROM security_events")
    refused(await ada.get("/operator/events"), 403)
    assert await sql.fetchval("SELECT count(*) FROM security_events") == before


async def test_what_was_counted_last_is_written_when_the_service_ends(
    world: World, app: FastAPI, database: Database, sql: Sql
) -> None:
    ada = await world.advertiser()
    async with security.last(database, app.state.tally):
        refused(await ada.get("/operator/events"), 403)
    assert await sql.fetchval("SELECT count FROM security_events WHERE action = 'access.refused'") == 1


# Kept as written.


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE security_events SET action = 'session.opened'",
        "UPDATE security_events SET count = count - 1",
        "UPDATE security_events SET count = count + 1, actor_id = NULL",
        "UPDATE security_events SET at = at - interval '1 year'",
        "DELETE FROM security_events",
        "TRUNCATE security_events",
    ],
)
async def test_fresh_lines_can_be_neither_changed_nor_wiped(world: World, lines: Any, sql: Sql, statement: str) -> None:
    ada = await world.advertiser()
    for _ in range(2):
        refused(await ada.get("/operator/events"), 403)
    await lines()
    with pytest.raises(asyncpg.CheckViolationError) as raised:
        await sql.execute(statement)
    assert raised.value.constraint_name == "append_only"


# Searching.


async def test_both_records_are_searched_as_one_in_pages(world: World, lines: Any) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    await world.bid(ada, await world.slot(cleo))
    refused(await ada.get("/operator/events"), 403)
    await lines()
    whole = ok(await olga.get("/operator/events"))
    assert {"bid.placed", "session.opened", "access.refused"} <= {each["action"] for each in whole}
    assert [(each["at"], each["id"]) for each in whole] == sorted(
        ((each["at"], each["id"]) for each in whole), reverse=True
    )
    read: list[Line] = []
    path: str | None = "/operator/events?limit=2"
    while path:
        answer = await olga.get(path)
        read += ok(answer)
        link = answer.links.get("next")
        path = link["url"].removeprefix("/api/v1") if link else None
    assert read == whole


async def test_an_operator_follows_a_client_a_request_and_a_role(world: World, lines: Any) -> None:
    cleo, ada, olga = await world.creator(), await world.advertiser(), await world.operator()
    bid = await world.bid(ada, await world.slot(cleo))
    answer = await ada.get("/operator/users")
    refused(answer, 403)
    await lines()

    async def found(**filters: str) -> list[Line]:
        each: list[Line] = ok(await olga.get("/operator/events", params=filters))
        return each

    [line] = await found(requestId=answer.headers["x-request-id"])
    assert (line["action"], line["actorId"], line["subjectType"]) == ("access.refused", ada.id, "user")
    assert line["data"] == {
        "operation": "listUsers", "code": "wrong_role", "count": 1, "client": line["data"]["client"],
    }  # fmt: skip
    same = await found(client=line["data"]["client"])
    assert {each["actorId"] for each in same} == {cleo.id, ada.id, olga.id}
    assert await found(client="0" * 16) == []
    assert {each["actorId"] for each in await found(actorRole="Operator")} == {olga.id}
    assert {each["action"] for each in await found(subjectId=bid["id"])} == {"bid.placed"}
    assert [each["action"] for each in await found(action="access.refused", actorId=ada.id)] == ["access.refused"]
    for wrong in ({"client": "127.0.0.1"}, {"requestId": "a b"}, {"actorRole": "Root"}):
        refused(await olga.get("/operator/events", params=wrong), 422)


async def test_what_an_operator_looks_at_is_on_the_record_by_the_minute(world: World, lines: Any) -> None:
    ada, olga = await world.advertiser(), await world.operator()
    await lines()
    for _ in range(3):
        ok(await olga.get("/operator/users"))
    ok(await olga.get("/bids"))
    ok(await ada.get("/bids"))
    ok(await olga.patch("/auth/me", {"name": "Olga"}))
    assert [(*_said(each), each["data"]["operation"]) for each in await lines()] == [
        ("operator.read", olga.id, olga.id, 3, "listUsers"),
        ("operator.read", olga.id, olga.id, 1, "listBids"),
    ]


def test_every_kind_of_line_is_written_down() -> None:
    """The table of docs/security.md has every action that is in the code, and no other."""
    text = (ROOT / "docs" / "security.md").read_text()
    table = text[text.index("## What is on the record") : text.index("## Logs")]
    kind = r"(?:session|password|token|access|memo|operator|record)\.[a-z_]+"
    written = {
        each for path in (ROOT / "backend").rglob("*.py") for each in re.findall(f'"({kind})"', path.read_text())
    }
    assert set(re.findall(f"`({kind})`", table)) == written
    assert len(written) >= 12


async def test_a_memo_that_leaves_is_on_the_record_before_it_does(world: World, lines: Any) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    bid = await world.accepted(cleo, ada)
    await lines()
    assert (await ada.get(f"/bids/{bid['id']}/memo")).status_code == 200
    [line] = await lines()
    assert (line["action"], str(line["actor_id"]), str(line["subject_id"])) == ("memo.exported", ada.id, bid["id"])


# Two processes.


async def test_processes_count_in_the_same_lines(two_servers: list[str], sql: Sql) -> None:
    body = {"email": EMAIL, "password": PASSWORD, "name": "Ada", "role": "Advertiser"}
    made = await asyncio.to_thread(httpx2.post, f"{two_servers[0]}/api/v1/auth/signup", json=body, timeout=20)
    headers = {"Authorization": f"Bearer {ok(made)['token']}"}

    def attempt(number: int) -> int:
        url = f"{two_servers[number % 2]}/api/v1/operator/events"
        return httpx2.get(url, headers=headers, timeout=20).status_code

    with ThreadPoolExecutor(8) as threads:
        answers = await asyncio.to_thread(lambda: list(threads.map(attempt, range(60))))
    assert answers == [403] * 60
    counted = "SELECT count(*) AS lines, sum(count) AS times FROM security_events WHERE action = 'access.refused'"
    for _ in range(200):
        row = await sql.fetchrow(counted)
        if row is not None and row["times"] == 60:
            break
        await asyncio.sleep(0.1)
    assert row is not None
    assert row["times"] == 60, "nothing is lost"
    assert row["lines"] <= 2, "one line a minute, whichever process counted"
