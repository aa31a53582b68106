"""A browser on its way to a provider and back: the provider of the path, the cookie, and where it is sent next."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse

from backend.core.errors import NotFound
from backend.dependencies.doors import Door
from backend.integrations.oauth import Provider as Way
from backend.models.identities import Provider


class Crossing(Door):
    """The door of such a browser. Its cookie is there from the start of a sign-in until it is back."""

    def __init__(self, request: Request, way: Way) -> None:
        super().__init__(request)
        self.way = way
        base = self.links.base
        self.redirect_uri = f"{base}/api/v1/auth/oauth/{way.name}/callback"
        # Over https no other host of ours can plant it: the prefix binds it to this very host (RFC 6265bis).
        self._secure = base.startswith("https://")
        self._cookie = "__Host-backdrop_oauth" if self._secure else "backdrop_oauth"

    @property
    def browser(self) -> str | None:
        """What the browser has in its cookie."""
        return self.request.cookies.get(self._cookie)

    def leave(self, address: str, browser: str) -> Response:
        """Send the browser away with its cookie; a page that sends it back from elsewhere lets it bring the cookie."""
        return self._send(address, browser, self.settings.oauth_expires_in)

    def arrive(self, address: str) -> Response:
        """Send the browser on; the cookie has served."""
        return self._send(address, "", 0)

    def _send(self, address: str, browser: str, seconds: int) -> Response:
        response = RedirectResponse(address, 303, {"cache-control": "no-store"})
        response.set_cookie(
            self._cookie, browser, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax"
        )
        return response


async def crossing(request: Request, provider: Provider) -> Crossing:
    """The door of a browser at a provider. Raises NotFound for one that is not configured."""
    way = ways(request).get(provider.value)
    if way is None:
        raise NotFound
    return Crossing(request, way)


def ways(request: Request) -> dict[str, Way]:
    """The providers that are configured, by name."""
    found: dict[str, Way] = request.app.state.providers
    return found


AtProvider = Annotated[Crossing, Depends(crossing)]
Ways = Annotated[dict[str, Way], Depends(ways)]
