"""Google, by OpenID Connect: a signed id token says who it is. Any provider of that kind fits by its addresses."""

from __future__ import annotations

from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from backend.core import clock
from backend.core.config import Settings
from backend.integrations.oauth.exchange import Asked, Claimed, Client, ProviderRefused, address, fetch, signed_in

ALGORITHMS = ["RS256"]  # the one that Google signs with: neither "none" nor one that takes a public key for a secret
LEEWAY = 60  # seconds that two clocks may differ


class Google:
    """Sign-in with Google."""

    name, title = "google", "Google"

    def __init__(self, settings: Settings, client: Client) -> None:
        self._client = client
        self._authorize, self._token = settings.google_authorize_url, settings.google_token_url
        self._jwks, self._issuer = settings.google_jwks_url, settings.google_issuer

    @staticmethod
    def client(settings: Settings) -> Client | None:
        """Who we are there; None when Google is not configured."""
        if settings.google_client_id is None or settings.google_client_secret is None:
            return None
        return Client(settings.google_client_id, settings.google_client_secret)

    def address(self, asked: Asked, state: str) -> str:
        """Where to send the browser."""
        more = {"scope": "openid email profile", "nonce": asked.nonce, "state": state}
        return address(self._authorize, self._client, asked, **more)

    async def identify(self, asked: Asked, code: str) -> Claimed:
        """Who has come back with this code. Raises ProviderDown, ProviderRefused."""
        async with signed_in(self._token, self._client, asked, code) as (http, token):
            keys = await fetch(http, self._jwks, withhold_token=True)
            claims = self._checked(token, keys, asked)
        verified = claims.get("email_verified") is True and isinstance(claims.get("email"), str)
        name = claims.get("name")
        return Claimed(claims["sub"], claims["email"] if verified else None, name if isinstance(name, str) else None)

    def _checked(self, token: Any, keys: Any, asked: Asked) -> dict[str, Any]:
        """The claims of an id token that they signed, for us, for this sign-in, in time. Raises ProviderRefused."""
        options: Any = {
            "iss": {"essential": True, "values": [self._issuer, self._issuer.removeprefix("https://")]},
            "aud": {"essential": True, "value": self._client.id},
        }
        more = {"nonce": asked.nonce, "client_id": self._client.id, "access_token": token.get("access_token")}
        try:
            public: Any = {"keys": [each for each in keys["keys"] if each["kty"] == "RSA"]}
            decoded = jwt.decode(token["id_token"], KeySet.import_key_set(public), algorithms=ALGORITHMS)
            claims = CodeIDToken(decoded.claims, decoded.header, options, more)
            claims.validate(now=int(clock.now().timestamp()), leeway=LEEWAY)
            if not claims["sub"]:
                raise ProviderRefused("no subject")
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ProviderRefused(type(error).__name__) from None
        return dict(claims)
