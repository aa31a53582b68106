"""The turns of calls that hash: who waits for one, and who does not hold one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI

from backend.dependencies import turns
from backend.dependencies.turns import TURNS
from backend.policies.users import Actor
from backend.services import sessions
from backend.services.sessions import Door
from tests.factories.refusals import refused
from tests.factories.world import PASSWORD, World, ok

BODY = {"email": "advertiser1@example.com", "password": PASSWORD}


async def ask(app: FastAPI, receive: Callable[[], Awaitable[Any]], path: str = "/api/v1/auth/login") -> int:
    """The status of a POST whose body comes by this function."""
    headers = [(b"host", b"backdrop.test"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1234),
        "server": ("127.0.0.1", 80),
    }
    answer: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.append(message["status"])

    await app(scope, receive, send)
    return answer[0]


@pytest.mark.parametrize("guarded", [True, False])
async def test_a_storm_of_sign_ins_takes_turns_with_nothing_begun(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    people = [await world.advertiser() for _ in range(20)]
    under_way, most = 0, 0
    recognise = sessions._recognise

    async def counted(door: Door, email: str, password: str) -> Actor:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await recognise(door, email, password)
        finally:
            under_way -= 1

    monkeypatch.setattr(sessions, "_recognise", counted)
    if not guarded:
        app.state.turns = asyncio.Semaphore(len(people))
    bodies = [
        {"email": f"advertiser{number}@example.com", "password": PASSWORD} for number in range(1, 1 + len(people))
    ]
    answers = await asyncio.gather(*(world.nobody.post("/auth/login", body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert most == TURNS if guarded else most > 2 * TURNS


async def test_nobody_waits_for_a_turn_for_ever(app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.advertiser()
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.1)
    taken = app.state.turns
    async with asyncio.TaskGroup() as takers:
        for _ in range(TURNS):
            takers.create_task(taken.acquire())
    answer = await world.nobody.post("/auth/login", BODY)
    refused(answer, 503, "busy")
    assert answer.headers["Retry-After"] == "1"
    for _ in range(TURNS):
        taken.release()
    ok(await world.nobody.post("/auth/login", BODY))


async def test_who_sends_a_body_slowly_holds_no_turn(app: FastAPI, world: World) -> None:
    await world.advertiser()
    rest = asyncio.Event()

    def slow() -> Callable[[], Awaitable[Any]]:
        pieces = [json.dumps(BODY).encode()[:9], json.dumps(BODY).encode()[9:]]

        async def receive() -> Any:
            if len(pieces) == 1:
                await rest.wait()
            return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

        return receive

    waiting = [asyncio.create_task(ask(app, slow())) for _ in range(TURNS + 1)]
    await asyncio.sleep(0.05)
    ok(await world.nobody.post("/auth/login", BODY))
    rest.set()
    assert await asyncio.gather(*waiting) == [200] * len(waiting)


async def test_what_does_not_hash_waits_for_no_turn(app: FastAPI, world: World) -> None:
    ada = await world.advertiser()
    app.state.turns = asyncio.Semaphore(0)
    ok(await ada.get("/auth/me"))
    refused(await ada.get("/auth/login"), 405)
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": "unknown"}), 401)


@pytest.mark.parametrize(("headers", "status"), [({}, 413), ({"content-type": "text/plain"}, 415)])
async def test_what_is_wrong_is_said_in_the_order_of_every_call(
    world: World, headers: dict[str, str], status: int
) -> None:
    body = json.dumps({**BODY, "password": "x" * 3_000_000})
    kind = {"content-type": "application/json"}
    refused(await world.nobody.post("/auth/login", content=body, headers=kind | headers), status)
    ada = await world.advertiser()
    too_long = {"currentPassword": "x" * 3_000_000, "newPassword": "y"}
    refused(await world.nobody.put("/auth/me/password", too_long), 401)
    refused(await ada.put("/auth/me/password", too_long), 413)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("POST", "/auth/signup", {"json": {**BODY, "name": "Bo", "role": "Advertiser", "email": "bo@example.com"}}),
        ("POST", "/auth/login", {"json": BODY}),
        ("POST", "/auth/token", {"data": {"username": BODY["email"], "password": PASSWORD}}),
        ("POST", "/auth/reset-password", {"json": {"token": "x" * 43, "newPassword": "a password of another length"}}),
        (
            "PUT",
            "/auth/me/password",
            {"json": {"currentPassword": PASSWORD, "newPassword": "a password of another one"}},
        ),
    ],
)
async def test_every_call_that_hashes_waits_for_its_turn(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch, method: str, path: str, more: dict[str, Any]
) -> None:
    ada = await world.advertiser()
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.05)
    app.state.turns = asyncio.Semaphore(0)
    refused(await ada.call(method, path, **more), 503, "busy")
