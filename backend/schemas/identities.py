"""Signing in by the word of another service."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from backend.models.identities import Provider
from backend.schemas.base import In, Out
from backend.schemas.users import OpaqueToken

# RFC 7636: what the frontend keeps, and its SHA-256 in base64url.
Challenge = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
Verifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]{43,128}$")]
ProviderCode = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
State = Annotated[str, StringConstraints(min_length=1, max_length=512)]


class ProviderOut(Out):
    """Somewhere to sign in with: the name in paths, and the one for people."""

    name: Provider
    title: str


class TakeSignIn(In):
    """The code from the address that the browser came back to, and the verifier whose challenge began the sign-in."""

    code: OpaqueToken
    verifier: Verifier


class IdentityOut(Out):
    """Another way to sign in to one's account."""

    id: UUID
    provider: Provider
    created_at: datetime
