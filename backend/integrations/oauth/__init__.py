"""Sign-in providers: Google and GitHub, behind one interface, each there when it is configured."""

from __future__ import annotations

from backend.core.config import Settings
from backend.integrations.oauth.exchange import Asked, Claimed, Provider, ProviderDown, ProviderRefused
from backend.integrations.oauth.github import GitHub
from backend.integrations.oauth.google import Google

__all__ = ["Asked", "Claimed", "Provider", "ProviderDown", "ProviderRefused", "providers"]


def providers(settings: Settings) -> dict[str, Provider]:
    """The providers that the settings name, by name."""
    found: dict[str, Provider] = {}
    for kind in (Google, GitHub):
        client = kind.client(settings)
        if client is not None:
            found[kind.name] = kind(settings, client)
    return found
