"""A plain HTTP client over one kept connection: quick, byte for byte, and honest about what it was answered.

A call ends in an `Answer`, or in `Unanswered`: the connection broke, so that nobody knows what became of it.
"""

from __future__ import annotations

import asyncio
import json as json_module
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit


class Unanswered(Exception):
    """The connection ended before a whole answer. `bytes_read` says how much of one there was."""

    def __init__(self, bytes_read: int) -> None:
        super().__init__(f"the connection ended after {bytes_read} bytes of an answer")
        self.bytes_read = bytes_read


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (lower case) and the body's bytes."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json_module.loads(self.body)

    @property
    def code(self) -> str | None:
        """The problem's code, when it is one."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        found: str = self.json()["code"]
        return found


class Wire:
    """One connection to one server. It connects again after it was closed."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port or 80
        self.token = token
        self.timeout = timeout
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    async def call(
        self, method: str, path: str, json: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """One call under the base path. Raises Unanswered, TimeoutError."""
        body = json_module.dumps(json).encode() if json is not None else b""
        kind = {"content-type": "application/json"} if json is not None else {}
        return await self.send(method, path, body, token=token, **kind, **headers)

    async def send(
        self, method: str, path: str, body: bytes = b"", *, token: str | None = None, **headers: str
    ) -> Answer:
        """One call with these bytes as its body; underscores in a header's name stand for hyphens."""
        async with asyncio.timeout(self.timeout):
            try:
                return await self._send(request_bytes(method, path, body, token or self.token, headers))
            except BaseException:
                self.close()
                raise

    async def _send(self, request: bytes) -> Answer:
        read = 0
        try:
            if self._reader is None or self._writer is None or self._reader.at_eof():
                self.close()
                self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
            self._writer.write(request)
            await self._writer.drain()
            head = await self._reader.readuntil(b"\r\n\r\n")
            read = len(head)
            status, headers = read_head(head)
            body = await self._read_body(headers)
        except asyncio.IncompleteReadError as error:
            raise Unanswered(read + len(error.partial)) from error
        except OSError as error:
            raise Unanswered(read) from error
        if headers.get("connection") == "close":
            self.close()
        return Answer(status, headers, body)

    async def _read_body(self, headers: Mapping[str, str]) -> bytes:
        assert self._reader is not None
        if headers.get("transfer-encoding") != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", 0)))
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body


def request_bytes(method: str, path: str, body: bytes, token: str | None, headers: Mapping[str, str]) -> bytes:
    """A request as it goes over the wire. A path under /healthz or /openapi.json stands at the root."""
    full = path if path.startswith(("/healthz", "/openapi")) else f"/api/v1{path}"
    lines = [f"{method} {full} HTTP/1.1", "host: backdrop.test", f"content-length: {len(body)}"]
    if token is not None:
        lines.append(f"authorization: Bearer {token}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_head(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers of an answer."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}
