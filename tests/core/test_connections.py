"""Slow clients are let go; everyone else is served as ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from backend.core import connections, edge
from backend.core.connections import Connection
from tests.commands.running import free_port
from tests.faults.arena import until

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n"


async def early(scope: Any, receive: Any, send: Any) -> None:
    """Answers /whole when the body is whole, everything else before it is."""
    while scope["path"] == "/whole" and (await receive())["more_body"]:
        continue
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(connections, "LINGER_SECONDS", 0.4)
    number = free_port()
    config = uvicorn.Config(
        early, port=number, http=Connection, lifespan="off", log_level="error", timeout_keep_alive=30
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: _is(server.started), 10, "the server does not start")
    yield number
    server.should_exit = True
    await serving


async def _is(value: bool) -> bool:
    return value


async def closed_after(port: int, *sent: bytes) -> tuple[float, bytes]:
    """How long the server keeps a client that sends this, a piece every 0.1 s, and what it answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.monotonic()
    for piece in sent:
        if writer.transport.is_closing() or reader.at_eof():
            break
        writer.write(piece)
        await asyncio.sleep(0.1)
    try:
        answer = await asyncio.wait_for(reader.read(), 10)
    except (ConnectionResetError, BrokenPipeError):
        answer = b""
    writer.close()
    return time.monotonic() - started, answer


async def test_a_client_that_says_nothing_is_let_go(port: int) -> None:
    seconds, answer = await closed_after(port)
    assert 0.3 < seconds < 5
    assert answer == b""


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(port: int) -> None:
    seconds, answer = await closed_after(port, *(bytes([byte]) for byte in HEAD[:12]))
    assert 0.3 < seconds < 5
    assert answer == b""


async def test_who_is_answered_before_the_body_has_come_may_read_it_and_is_let_go(port: int) -> None:
    seconds, answer = await closed_after(port, HEAD + b"\r\n", b"12345")
    assert 0.3 < seconds < 5
    assert answer.endswith(b"ok")


async def test_a_body_that_comes_after_its_answer_leaves_no_connection_that_is_kept_for_ever(port: int) -> None:
    seconds, answer = await closed_after(port, HEAD + b"\r\n", b"12345", b"67890")
    assert 0.3 < seconds < 5
    assert answer.endswith(b"ok")


async def test_a_kept_connection_serves_one_request_after_the_other(port: int) -> None:
    request = b"POST /whole HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for pause in (0, 0.1, 0.7):  # the last is longer than a head may take: an idle connection is uvicorn's affair
        await asyncio.sleep(pause)
        writer.write(request)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
    writer.close()


async def test_a_body_that_comes_too_slowly_is_answered_408(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "BODY_SECONDS", 1.0)
    monkeypatch.setattr(edge, "BODY_PACE", 1000)
    pieces, sent = [b'{"email": "' + b"a" * 400, b"b" * 400], []

    async def receive() -> Any:
        await asyncio.sleep(0.05 if pieces else 60)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/auth/login", "query_string": b"", "headers": headers}
    started = time.monotonic()
    await app(scope, receive, send)
    assert 1.7 < time.monotonic() - started < 20, "800 bytes have earned 0.8 s more"
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in [(name.lower(), value) for name, value in sent[0]["headers"]]
    assert b'"too_slow"' in sent[1]["body"]
