"""What production does not start with: settings that are fine on one's own machine and a hole on the internet."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from backend.core.config import Settings

_WELL_KNOWN = ("secret", "change", "example", "default", "password", "insecure", "development", "your-", "xxxx")
_FEWEST_CHARACTERS = 8  # different ones, in a secret that was made by chance
_TLS = {"require", "verify-ca", "verify-full"}
_LONGEST_ACCESS = 7 * 24 * 60 * 60


def complaints(settings: Settings) -> Iterator[str]:
    """One sentence for each thing that is wrong, starting with the variable's name and never holding its value."""
    yield from _about_secrets(settings)
    yield from _about_addresses(settings)
    yield from _about_database(settings)
    yield from _about_redis(settings)
    yield from _about_mail(settings)
    yield from _about_providers(settings)
    yield from _about_the_rest(settings)


def _about_secrets(settings: Settings) -> Iterator[str]:
    if settings.jwt_secret is None:
        yield "JWT_SECRET must be set when APP_ENV is production"
        return
    secret = settings.jwt_secret.get_secret_value().lower()
    if len(set(secret)) < _FEWEST_CHARACTERS or secret.isdigit():
        yield "JWT_SECRET must be made by chance, for example with `openssl rand -base64 48`"
    elif any(secret.startswith(word) for word in _WELL_KNOWN):
        yield "JWT_SECRET looks like a placeholder; make one with `openssl rand -base64 48`"
    if settings.jwt_expires_in > _LONGEST_ACCESS:
        yield "JWT_EXPIRES_IN must be at most 604800 (seven days)"
    if settings.refresh_expires_in < settings.jwt_expires_in:
        yield "REFRESH_EXPIRES_IN must not be shorter than JWT_EXPIRES_IN"


def _about_addresses(settings: Settings) -> Iterator[str]:
    for origin in settings.allowed_origins:
        parts = urlsplit(origin)
        if "*" in origin:
            yield "CORS_ORIGINS must name its origins, without a wildcard"
        elif parts.scheme != "https":
            yield "CORS_ORIGINS must begin with https://"
        elif not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
            yield "CORS_ORIGINS must be origins: https://, a host and nothing after it"
    for name in ("public_url", "frontend_url"):
        value = getattr(settings, name)
        if name in settings.model_fields_set and value is not None:
            parts = urlsplit(value)
            if parts.scheme != "https":
                yield f"{name.upper()} must begin with https://"
            elif not parts.hostname or parts.username or parts.query or parts.fragment:
                yield f"{name.upper()} must be an address without user, query or fragment"
    if any(network.prefixlen == 0 for network in settings.trusted_networks):
        yield "TRUSTED_PROXIES must not trust every address"


def _about_database(settings: Settings) -> Iterator[str]:
    if settings.database_url is None:
        return
    try:
        parts = urlsplit(settings.database_url.get_secret_value())
        host = parts.hostname
    except ValueError:
        yield "DATABASE_URL cannot be read"
        return
    if parts.scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
        yield "DATABASE_URL must start with postgresql:// or postgres://"
    elif _is_remote(host) and parse_qs(parts.query).get("sslmode", [""])[-1] not in _TLS:
        yield (
            "DATABASE_URL must ask for TLS when its server is on another machine: sslmode=verify-full, or require "
            "(without either a connection falls back to plain text)"
        )


def _about_redis(settings: Settings) -> Iterator[str]:
    if settings.redis_url is not None:
        parts = urlsplit(settings.redis_url.get_secret_value())
        if parts.scheme == "redis" and _is_remote(parts.hostname):
            yield "REDIS_URL must begin with rediss:// for a server on another machine"


def _is_remote(host: str | None) -> bool:
    if host is None or host == "localhost":
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." in host  # a name without a dot is a neighbour in a private network
    return not address.is_private


def _about_mail(settings: Settings) -> Iterator[str]:
    server = settings.smtp_host
    url = urlsplit(settings.smtp_url.get_secret_value()) if settings.smtp_url is not None else None
    if url is not None and url.scheme == "smtps":
        return
    if not settings.smtp_starttls and _is_remote(url.hostname if url is not None else server):
        yield "SMTP_STARTTLS must be true for a mail server on another machine"
    if settings.smtp_password is not None and not settings.smtp_username:
        yield "SMTP_USERNAME must be set when SMTP_PASSWORD is"
    if (url is not None or server) and settings.mail_from.rstrip(">").endswith("@localhost"):
        yield "MAIL_FROM must be an address of yours when a mail server is set"


_OF_PROVIDERS = {
    "google": ("google_issuer", "google_authorize_url", "google_token_url", "google_jwks_url"),
    "github": ("github_url", "github_api_url"),
}


def _about_providers(settings: Settings) -> Iterator[str]:
    for provider, addresses in _OF_PROVIDERS.items():
        names = (f"{provider}_client_id", f"{provider}_client_secret")
        given = [name for name in names if getattr(settings, name) is not None]
        for name in set(names) - set(given) if given else ():
            yield f"{name.upper()} must be set when {given[0].upper()} is"
        for name in addresses:
            if urlsplit(getattr(settings, name)).scheme != "https":
                yield f"{name.upper()} must begin with https://"
        if given:
            # Otherwise both would be what a request's Host header says, or one's own machine.
            for name in ("public_url", "frontend_url"):
                if name not in settings.model_fields_set or getattr(settings, name) is None:
                    yield f"{name.upper()} must be set when {given[0].upper()} is"


def _about_the_rest(settings: Settings) -> Iterator[str]:
    if settings.log_level == "debug":
        yield "LOG_LEVEL must be info or above: what libraries say below it may hold secrets"
    for name, path in (("DATA_DIR", settings.data_dir), ("UPLOAD_DIR", settings.uploads)):
        if not _can_be_written(path):
            yield f"{name} cannot be written to"
    if settings.pg_bin is not None and not settings.pg_bin.is_dir():
        yield "PG_BIN is no folder"


def _can_be_written(path: Path) -> bool:
    """Whether the folder is there and ours, or could be made."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)
