"""Slow clients are let go; everyone else is served as ever."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backend.core import connections, edge
from backend.core.connections import Connection
from tests.commands.running import free_port
from tests.faults.arena import until

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n"


LARGE = b"x" * 8_000_000  # more than the sockets between the two take


async def early(scope: Any, receive: Any, send: Any) -> None:
    """Answers /whole when the body is whole, /large with more than fits, /left when the client has; else at once."""
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8000000")]})
        await send({"type": "http.response.body", "body": LARGE})
        return
    if scope["path"] == "/left":
        await until(lambda: _is(scope["state"].get("client_left", False)), 5, "it does not know")
        scope["state"]["told"].set_result(True)
        return
    while scope["path"] == "/whole" and (await receive())["more_body"]:
        continue
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served(protocol: type[HttpToolsProtocol]) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    """A server with this protocol, and its port."""
    number = free_port()
    config = uvicorn.Config(early, port=number, http=protocol, lifespan="off", log_level="error", timeout_keep_alive=30)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    await until(lambda: _is(server.started), 10, "the server does not start")
    yield number, server
    server.should_exit = True
    await serving


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[int, uvicorn.Server]]:
    for name in ("HEAD_SECONDS", "LINGER_SECONDS", "READ_SECONDS"):
        monkeypatch.setattr(connections, name, 0.4)
    async with served(Connection) as found:
        yield found


@pytest.fixture
def port(server: tuple[int, uvicorn.Server]) -> int:
    return server[0]


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


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: +5\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"content-length : 5\r\n",
    ],
)
async def test_a_message_with_two_ends_is_refused_and_the_connection_closed(port: int, head: bytes) -> None:
    """Or a proxy could see one request where we see two (request smuggling)."""
    hidden = b"GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n"
    _, answer = await closed_after(port, b"POST /whole HTTP/1.1\r\nhost: a\r\n" + head + b"\r\n0\r\n\r\n" + hidden)
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert answer.count(b"HTTP/1.1") == 1


async def ask(port: int, path: str) -> socket.socket:
    """A client that asks and does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    client.send(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    return client


async def gone(server: uvicorn.Server, seconds: float) -> bool:
    """Whether no connection is left after so many seconds."""
    try:
        await until(lambda: _is(not server.server_state.connections), seconds, "a connection is left")
    except AssertionError:
        return False
    return True


async def test_a_client_that_never_reads_its_answer_is_cut_off(server: tuple[int, uvicorn.Server]) -> None:
    client = await ask(server[0], "/large")
    await until(lambda: _is(bool(server[1].server_state.connections)), 5, "it does not come")
    assert await gone(server[1], 5)
    client.close()


async def test_without_our_protocol_it_is_kept() -> None:
    async with served(HttpToolsProtocol) as (port, server):
        client = await ask(port, "/large")
        await until(lambda: _is(bool(server.server_state.connections)), 5, "it does not come")
        assert not await gone(server, 1)
        client.close()
        assert await gone(server, 5)


async def test_a_client_that_reads_slowly_gets_all_of_its_answer(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=65536)
    writer.write(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    read = 0
    while read < len(LARGE):
        read += len(await reader.read(1_000_000))
        await asyncio.sleep(0.005)  # altogether longer than a client may read nothing
    assert read == len(LARGE)
    writer.close()


async def test_a_request_knows_when_its_client_has_left(server: tuple[int, uvicorn.Server]) -> None:
    told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    server[1].lifespan.state["told"] = told
    client = await ask(server[0], "/left")
    await asyncio.sleep(0.1)
    client.close()
    assert await asyncio.wait_for(told, 5)


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
