"""What every provider has in common: where a browser is sent, and how its code becomes a token (RFC 6749, 7636).

Only addresses of the settings are fetched, never one that a user or an answer names, and no redirect is followed.
Nothing of an answer is logged: it holds tokens and addresses.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from pydantic import SecretStr

STEP = 5.0  # seconds for each step of a call to a provider
LONGEST = 12.0  # seconds for all calls of one sign-in together


class ProviderDown(Exception):
    """The provider does not answer, or not as it should. Trying again later may help."""


class ProviderRefused(Exception):
    """The provider does not vouch, or what it says cannot be believed. It names a reason, never a value."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are at a provider."""

    id: str
    secret: SecretStr


@dataclass(frozen=True, slots=True)
class Asked:
    """What one sign-in asks a provider: where to come back to, and two secrets that only we know."""

    redirect_uri: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whom a provider vouches for. `email` is there only when the provider has verified it."""

    subject: str
    email: str | None
    name: str | None


class Provider(Protocol):
    """What the service asks of a sign-in provider."""

    name: str
    title: str

    def address(self, asked: Asked, state: str) -> str:
        """Where to send the browser."""

    async def identify(self, asked: Asked, code: str) -> Claimed:
        """Who has come back with this code. Raises ProviderDown, ProviderRefused."""


def address(url: str, client: Client, asked: Asked, **more: str) -> str:
    """An authorization request with PKCE (S256)."""
    found: str = prepare_grant_uri(
        url,
        client_id=client.id,
        response_type="code",
        redirect_uri=asked.redirect_uri,
        code_challenge=create_s256_code_challenge(asked.verifier),
        code_challenge_method="S256",
        **more,
    )
    return found


@lru_cache
def _trust() -> ssl.SSLContext:
    """Made once: reading the certificates takes as long as a request."""
    return httpx2.create_ssl_context()


@asynccontextmanager
async def signed_in(url: str, client: Client, asked: Asked, code: str) -> AsyncIterator[tuple[AsyncOAuth2Client, Any]]:
    """Trade the code in for a token: the client that carries it, and the token's answer.

    Raises ProviderDown, ProviderRefused, also for what the block does with the client.
    """
    try:
        async with (
            asyncio.timeout(LONGEST),
            AsyncOAuth2Client(
                client.id,
                client.secret.get_secret_value(),
                token_endpoint_auth_method="client_secret_post",  # noqa: S106 a method's name
                timeout=STEP,
                verify=_trust(),
                follow_redirects=False,
            ) as http,
        ):
            token = await http.fetch_token(
                url,
                grant_type="authorization_code",
                code=code,
                code_verifier=asked.verifier,
                redirect_uri=asked.redirect_uri,
            )
            yield http, token
    except OAuthError as error:
        raise ProviderRefused(type(error).__name__) from None
    except (httpx2.HTTPError, TimeoutError, ValueError) as error:
        raise ProviderDown(type(error).__name__) from None


async def fetch(http: AsyncOAuth2Client, url: str, **more: Any) -> Any:
    """The JSON that stands at an address of the provider's. Raises httpx2.HTTPError, ValueError."""
    response = await http.request("GET", url, **more)
    response.raise_for_status()
    return response.json()
