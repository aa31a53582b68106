"""Providers to sign in with: one that is not ours, and ones that lie, on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.factories.browser import asked

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it rests on a module that Authlib is about to give up
    import oidc_provider_mock

CLIENT, SECRET = "backdrop-at-provider", "planted-client-secret"


@contextmanager
def oidc_provider() -> Iterator[str]:
    """The address of an OpenID Connect provider that somebody else wrote (oidc-provider-mock)."""
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


def oidc_settings(address: str) -> dict[str, str]:
    """The settings that point Google's sign-in at such a provider."""
    return {
        "google_issuer": address,
        "google_authorize_url": f"{address}/oauth2/authorize",
        "google_token_url": f"{address}/oauth2/token",
        "google_jwks_url": f"{address}/jwks",
    }


@dataclass
class Forger:
    """A provider of id tokens in which anything may be wrong. `address` is what the browser was sent to."""

    server: HTTPServer
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    now: int = 0

    def __post_init__(self) -> None:
        keys = {"keys": [self.key.as_dict(private=False)]}
        self.server.expect_request("/jwks").respond_with_json(keys)

    def claims(self, address: str, **instead: Any) -> dict[str, Any]:
        """What an honest id token says to this request; None takes a claim out."""
        said = {
            "iss": self.server.url_for("").rstrip("/"),
            "aud": CLIENT,
            "sub": "subject-1",
            "iat": self.now,
            "exp": self.now + 600,
            "nonce": asked(address).get("nonce"),
            "email": "ada@example.com",
            "email_verified": True,
            "name": "Ada",
        }
        return {name: value for name, value in {**said, **instead}.items() if value is not None}

    def signed(self, claims: dict[str, Any], key: RSAKey | None = None, **header: str) -> str:
        """The claims as an id token."""
        head = {"alg": "RS256", "kid": "one", **header}
        return jwt.encode(head, claims, key or self.key, algorithms=[head["alg"]])

    @staticmethod
    def unsigned(claims: dict[str, Any], alg: str = "none", secret: bytes | None = None) -> str:
        """The claims without a signature, or with one by a shared secret."""
        head, body = (_encoded(json.dumps(each).encode()) for each in ({"alg": alg, "kid": "one"}, claims))
        digest = hmac.digest(secret, f"{head}.{body}".encode(), "sha256") if secret else b""
        return f"{head}.{body}.{_encoded(digest)}"

    def answers(self, id_token: str | None) -> None:
        """What the token endpoint says from now on."""
        body = {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": id_token}
        self.server.expect_request("/oauth2/token", method="POST").respond_with_json(
            {name: value for name, value in body.items() if value is not None}
        )


@dataclass
class GitHubStand:
    """GitHub's sign-in and the two calls of its API, as its documentation tells them, PKCE included."""

    server: HTTPServer
    user: dict[str, Any] = field(default_factory=lambda: {"id": 583231, "login": "octo", "name": "Octo Cat"})
    emails: Any = field(default_factory=lambda: [address("octo@example.com")])
    challenge: str = ""
    codes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.server.expect_request("/login/oauth/access_token", method="POST").respond_with_handler(self._token)
        self.server.expect_request("/api/v3/user").respond_with_handler(lambda request: self._tell(request, self.user))
        self.server.expect_request("/api/v3/user/emails").respond_with_handler(
            lambda request: self._tell(request, self.emails)
        )

    def consent(self, address: str) -> str:
        """The person says yes: the code that the browser brings back."""
        self.challenge = asked(address)["code_challenge"]
        code = f"code-{len(self.codes)}-{self.challenge[:8]}"
        self.codes.add(code)
        return code

    def _token(self, request: Request) -> Response:
        form = request.form
        digest = _encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        right = form["code"] in self.codes and (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
        if not right or digest != self.challenge:
            return _json({"error": "bad_verification_code", "error_description": "The code is incorrect or expired."})
        self.codes.remove(form["code"])
        return _json({"access_token": "gho_planted", "token_type": "bearer", "scope": "read:user,user:email"})

    @staticmethod
    def _tell(request: Request, value: Any) -> Response:
        if request.headers.get("Authorization") != "Bearer gho_planted":
            return _json({"message": "Bad credentials"}, 401)
        return _json(value)


def address(email: str, *, primary: bool = True, verified: bool = True) -> dict[str, Any]:
    """One line of GitHub's list of addresses."""
    return {"email": email, "primary": primary, "verified": verified, "visibility": "private"}


def _encoded(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, content_type="application/json")
