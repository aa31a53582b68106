"""The edge: one log line a request, an id on every answer, and no secret anywhere."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.logging import configure_logging
from backend.services import users
from tests.factories.people import API
from tests.factories.world import PASSWORD, World, ok


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged; the loggers are as they were afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    yield written
    monkeypatch.undo()
    configure_logging(Settings(_env_file=None, app_env="test"))
    root.handlers, root.level = handlers, level


@pytest.fixture
def settings(output: io.StringIO, tmp_path: Path, dsn: str) -> Settings:
    """Production, where a log line is JSON; `output` stands first so that the log goes to it."""
    return Settings(
        _env_file=None,
        app_env="production",
        database_url=SecretStr(dsn),
        data_dir=tmp_path,
        jwt_secret=SecretStr("planted-secret-of-thirty-two-bytes-or-more"),
    )


def lines(output: io.StringIO) -> list[dict[str, Any]]:
    """What was logged since the last look."""
    text = output.getvalue()
    output.seek(0)
    output.truncate()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def requests(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in found if line["event"] == "request"]


async def test_a_request_is_one_line(world: World, output: io.StringIO) -> None:
    ada = await world.advertiser()
    lines(output)
    answer = await ada.get("/slots", params={"q": "planted-word"}, headers={"X-Request-ID": "my-own-id"})
    (line,) = requests(lines(output))
    assert (line["method"], line["route"], line["status"]) == ("GET", "listSlots", 200)
    assert (line["user_id"], line["request_id"]) == (ada.id, "my-own-id")
    assert line["ms"] > 0
    assert answer.headers["x-request-id"] == "my-own-id"


async def test_refusals_and_unknown_paths_are_lines_too(world: World, output: io.StringIO) -> None:
    lines(output)
    await world.nobody.get("/slots")
    await world.nobody.get("/planted-path")
    await world.nobody.put("/slots")
    found = requests(lines(output))
    assert [(line["route"], line["status"], line["user_id"]) for line in found] == [
        ("listSlots", 401, None),
        ("(none)", 404, None),
        ("(none)", 405, None),
    ]


async def test_nothing_planted_stands_in_any_line(world: World, output: io.StringIO) -> None:
    cleo = await world.creator(name="planted-name")
    project = await world.project(cleo, title="planted-title")
    await world.nobody.post("/auth/login", {"email": cleo.user["email"] if cleo.user else "", "password": PASSWORD})
    await world.nobody.post("/auth/login", {"email": "planted@example.com", "password": "planted-password"})
    await world.nobody.post("/auth/signup", {"email": "planted", "password": "planted-password", "x": "planted"})
    await cleo.post("/slots", {"projectId": "planted"})
    await cleo.get("/slots?q=planted&cursor=planted")
    ok(await cleo.get("/auth/me"))
    link = project["docLink"]
    await world.client.get(link.replace("signature=", "signature=planted"))
    assert (await world.client.get(link)).status_code == 200
    text = output.getvalue()
    assert '"event":' in text or '"event"' in text
    assert cleo.token is not None
    secrets = ["planted", PASSWORD, cleo.token, cleo.refresh_token, link.split("signature=")[1], "signature="]
    ours = [line for line in text.splitlines() if '"httpx2"' not in line and "HTTP Request:" not in line]
    for secret in secrets:
        assert secret is not None
        assert not [line for line in ours if secret in line], "a secret stands in the log"


async def test_a_failure_is_logged_with_its_request_and_answered_plainly(
    world: World, app: FastAPI, output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("our mistake")

    ada = await world.advertiser()
    lines(output)
    monkeypatch.setattr(users, "me", fail)
    answer = await ada.get("/auth/me")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "our mistake" not in answer.text
    found = lines(output)
    failed = next(line for line in found if line["event"] == "failed")
    assert "our mistake" in json.dumps(failed["exception"])
    assert failed["request_id"] == answer.headers["x-request-id"] == answer.json()["requestId"]
    assert requests(found)[-1]["status"] == 500


async def test_head_is_get_without_its_body(world: World, client: httpx2.AsyncClient) -> None:
    ada = await world.advertiser()
    headers = {"Authorization": f"Bearer {ada.token}"}
    get = await client.get(f"{API}/auth/me", headers=headers)
    head = await client.head(f"{API}/auth/me", headers=headers)
    assert (head.status_code, head.content, get.status_code) == (200, b"", 200)
    assert head.headers["etag"] == get.headers["etag"]
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_standing_headers_are_on_every_answer(client: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/nothing", f"{API}/bids", "/docs"):
        answer = await client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
        assert "server" not in answer.headers
