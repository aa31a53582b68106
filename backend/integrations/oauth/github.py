"""GitHub, or a GitHub Enterprise Server. It has no id tokens: its API says who it is, and which address is verified."""

from __future__ import annotations

from backend.core.config import Settings
from backend.integrations.oauth.exchange import Asked, Claimed, Client, address, fetch, signed_in

_ACCEPT = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class GitHub:
    """Sign-in with GitHub."""

    name, title = "github", "GitHub"

    def __init__(self, settings: Settings, client: Client) -> None:
        self._client = client
        self._web, self._api = settings.github_url.rstrip("/"), settings.github_api_url.rstrip("/")

    @staticmethod
    def client(settings: Settings) -> Client | None:
        """Who we are there; None when GitHub is not configured."""
        if settings.github_client_id is None or settings.github_client_secret is None:
            return None
        return Client(settings.github_client_id, settings.github_client_secret)

    def address(self, asked: Asked, state: str) -> str:
        """Where to send the browser."""
        scope = "read:user user:email"
        return address(f"{self._web}/login/oauth/authorize", self._client, asked, scope=scope, state=state)

    async def identify(self, asked: Asked, code: str) -> Claimed:
        """Who has come back with this code. Raises ProviderDown, ProviderRefused."""
        url = f"{self._web}/login/oauth/access_token"
        async with signed_in(url, self._client, asked, code) as (http, _):
            user = await fetch(http, f"{self._api}/user", headers=_ACCEPT)
            addresses = await fetch(http, f"{self._api}/user/emails", headers=_ACCEPT)
            if not isinstance(user, dict) or type(user.get("id")) is not int:
                raise ValueError("no user")
            email = _primary(addresses)
        # The number stays; a login can be given up and taken by another.
        name = user.get("name") or user.get("login")
        return Claimed(str(user["id"]), email, name if isinstance(name, str) else None)


def _primary(addresses: object) -> str | None:
    """The primary address, if it is verified."""
    if not isinstance(addresses, list):
        raise ValueError("no addresses")  # noqa: TRY004 what is asked for is down
    for each in addresses:
        if isinstance(each, dict) and each.get("primary") is True and each.get("verified") is True:
            found = each.get("email")
            return found if isinstance(found, str) else None
    return None
