"""A browser and the frontend in it: redirects followed by hand, a cookie jar of its own, a verifier kept aside."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI

from tests.contract import must_keep_contract

ORIGIN = "http://backdrop.test"


@dataclass
class Browser:
    """One person's browser. `leave` and `arrive` are its address bar, `take` is what the frontend sends."""

    app: FastAPI
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    origin: str = ORIGIN

    def __post_init__(self) -> None:
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=self.app),
            base_url=self.origin,
            event_hooks={"response": [must_keep_contract]},
        )

    @property
    def challenge(self) -> str:
        """What the frontend says at the start."""
        found: str = create_s256_code_challenge(self.verifier)
        return found

    async def get(self, path: str, **query: Any) -> httpx2.Response:
        """Open an address of the service's."""
        return await self.http.get(f"/api/v1{path}", params=query)

    async def leave(self, provider: str, **query: str) -> str:
        """Start a sign-in: the provider's address that the browser is sent to."""
        answer = await self.get(f"/auth/oauth/{provider}", challenge=self.challenge, **query)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def arrive(self, provider: str, **query: str) -> str:
        """Come back: the code in the frontend's address."""
        answer = await self.get(f"/auth/oauth/{provider}/callback", **query)
        assert answer.status_code == 303, answer.text
        return code_of(answer)

    async def take(self, code: str) -> httpx2.Response:
        """The frontend asks for the session."""
        return await self.http.post("/api/v1/auth/oauth/token", json={"code": code, "verifier": self.verifier})


def code_of(answer: httpx2.Response) -> str:
    """The code that the frontend is given; nothing else is in its address."""
    address, _, fragment = answer.headers["location"].partition("#")
    assert address == "http://localhost:5173/oauth"
    [(name, [code])] = parse_qs(fragment).items()
    assert name == "code"
    return code


def asked(address: str) -> dict[str, str]:
    """What a provider is asked by this address."""
    return {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}
