"""Signed things: access tokens (JWT), opaque refresh tokens, and links that open without a header."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import jwt

from backend.core.errors import NotSignedIn
from backend.core.ids import new_id

ALGORITHM = "HS256"
ISSUER = "backdrop"
AUDIENCE = "backdrop-api"
_REQUIRED = ["exp", "iat", "nbf", "sub", "aud", "iss", "jti", "sid", "typ"]
_MAX_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid access token says: who, and in which session."""

    user_id: UUID
    session_id: UUID


def make_access_token(claims: Claims, secret: str, issued: datetime, lifetime: int) -> str:
    """A JWT of `lifetime` seconds."""
    return jwt.encode(
        {
            "sub": str(claims.user_id),
            "sid": str(claims.session_id),
            "jti": str(new_id()),
            "typ": "access",
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": issued,
            "nbf": issued,
            "exp": issued + timedelta(seconds=lifetime),
        },
        secret,
        algorithm=ALGORITHM,
    )


def read_access_token(token: str, secret: str, now: datetime) -> Claims:
    """The claims of a token that is ours and current. Raises NotSignedIn for anything else."""
    if len(token) > _MAX_TOKEN or not token.isascii():
        raise NotSignedIn("This token is not valid.", code="invalid_token")
    claims, not_before, expires = _verified(token, secret)
    if not (not_before - 5 <= now.timestamp() < expires):
        raise NotSignedIn("This token has expired; sign in again.", code="token_expired")
    return claims


# A signature once found right stays right; times are judged at every call. Refusals are not remembered, so nobody
# without our signature takes a place.
@lru_cache(maxsize=16_384)
def _verified(token: str, secret: str) -> tuple[Claims, float, float]:
    """The claims of a token that is ours, not before when, and until when. Raises NotSignedIn."""
    try:
        payload = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            # Times are judged by the one clock.
            options={
                "require": _REQUIRED,
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "enforce_minimum_key_length": True,
            },
        )
        if payload["typ"] != "access":
            raise NotSignedIn("This token is not an access token.", code="invalid_token")
        claims = Claims(UUID(payload["sub"]), UUID(payload["sid"]))
        return claims, float(payload["nbf"]), float(payload["exp"])
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise NotSignedIn("This token is not valid.", code="invalid_token") from None


def make_secret() -> tuple[str, bytes]:
    """An opaque token of 256 bits, and the hash under which it is stored."""
    token = secrets.token_urlsafe(32)
    return token, hash_secret(token)


def hash_secret(token: str) -> bytes:
    """How an opaque token is stored: high entropy needs no salt and no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def derive_secret(secret: str, purpose: str, about: UUID) -> str:
    """An opaque token of 256 bits that only this service can make, and can make again: it is stored nowhere."""
    digest = hmac.new(f"{purpose}:{secret}".encode(), about.bytes, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _signature(secret: str, parts: tuple[str, ...]) -> str:
    return hmac.new(b"link:" + secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Links:
    """What makes links that open without a header: the public address, the secret, and how many seconds they last."""

    base: str
    secret: str
    lifetime: int

    def sign(self, path: str, user_id: UUID, expires: datetime) -> str:
        """The address of `path` with a signature that binds it to one user until `expires`."""
        until = int(expires.timestamp())
        signature = _signature(self.secret, (path, str(user_id), str(until)))
        return f"{self.base}{path}?user={user_id}&expires={until}&signature={signature}"


def check_link(secret: str, path: str, user_id: UUID, expires: int, signature: str, now: datetime) -> None:
    """Raises NotSignedIn unless the link was signed here for this path and user and is still current."""
    right = _signature(secret, (path, str(user_id), str(expires)))
    if not hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace")) or now.timestamp() >= expires:
        raise NotSignedIn("This link is not valid any more; ask for the project again.", code="invalid_link")
