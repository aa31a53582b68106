"""People: users who make calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2

API = "/api/v1"


@dataclass(slots=True)
class Person:
    """A signed-in user (or nobody, without a token) with the HTTP verbs under the base path."""

    client: httpx2.AsyncClient
    token: str | None = None
    user: dict[str, Any] | None = None
    refresh_token: str | None = None

    @property
    def id(self) -> str:
        """The user's id."""
        assert self.user is not None
        return str(self.user["id"])

    async def call(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One call; `headers` join the token's."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= more.pop("headers", None) or {}
        return await self.client.request(method, API + path, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self.call("GET", path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        if json is not None:
            more["json"] = json
        return await self.call("POST", path, **more)

    async def patch(self, path: str, json: Any, **more: Any) -> httpx2.Response:
        return await self.call("PATCH", path, json=json, **more)

    async def put(self, path: str, json: Any = None, **more: Any) -> httpx2.Response:
        if json is not None:
            more["json"] = json
        return await self.call("PUT", path, **more)

    async def delete(self, path: str, **more: Any) -> httpx2.Response:
        return await self.call("DELETE", path, **more)
