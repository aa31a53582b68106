"""Settings of the service, read from the environment and `.env`. Each is explained in `.env.example`."""

from __future__ import annotations

import os
import secrets
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backend.core import limits, production, proxies

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Seconds = Annotated[int, Field(ge=1, le=10 * 365 * DAY)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


class Settings(BaseSettings):
    """Everything an operator may set. Names in the environment are these in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True, frozen=True
    )

    app_env: Literal["development", "test", "production"] = "development"
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:_-]{1,255}$")] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    supervisor_pid: int | None = None  # set by `serve` for its workers, not by hand
    public_url: Url | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    database_url: SecretStr | None = None
    data_dir: Path = Path(".data")
    pg_bin: Path | None = None
    db_pool_size: Annotated[int, Field(ge=1, le=500)] = 10
    db_wait_seconds: Annotated[float, Field(gt=0, le=60)] = 2.0
    db_statement_seconds: Annotated[float, Field(gt=0, le=600)] = 4.0

    jwt_secret: SecretStr | None = None
    jwt_expires_in: Seconds = DAY
    refresh_expires_in: Seconds = 30 * DAY
    session_expires_in: Seconds = 90 * DAY
    doc_link_expires_in: Seconds = 15 * MINUTE
    cors_origins: Annotated[list[str], NoDecode] = ["http://localhost:5173"]
    trusted_proxies: Annotated[list[str], NoDecode] = []
    docs_enabled: bool | None = None
    redis_url: SecretStr | None = None
    rate_limit: Annotated[str, Field(pattern=limits.PATTERN)] | None = None

    upload_dir: Path | None = None
    max_upload_mb: Annotated[int, Field(ge=1, le=2048)] = 50
    max_body_kb: Annotated[int, Field(ge=16, le=65536)] = 1024
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"

    smtp_url: SecretStr | None = None
    smtp_host: str | None = None
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = 587
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: bool = True
    mail_from: Annotated[str, Field(pattern=r"^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$")] = "BackDrop <backdrop@localhost>"
    frontend_url: Url = "http://localhost:5173"
    password_reset_expires_in: Seconds = 30 * MINUTE
    email_verification_expires_in: Annotated[int, Field(ge=HOUR, le=30 * DAY)] = DAY
    hold_reminder_before: Seconds = DAY

    google_client_id: str | None = None
    google_client_secret: SecretStr | None = None
    google_issuer: Url = "https://accounts.google.com"
    google_authorize_url: Url = "https://accounts.google.com/o/oauth2/v2/auth"
    google_token_url: Url = "https://oauth2.googleapis.com/token"  # noqa: S105 an address
    google_jwks_url: Url = "https://www.googleapis.com/oauth2/v3/certs"
    github_client_id: str | None = None
    github_client_secret: SecretStr | None = None
    github_url: Url = "https://github.com"
    github_api_url: Url = "https://api.github.com"
    oauth_expires_in: Annotated[int, Field(ge=MINUTE, le=HOUR)] = 10 * MINUTE

    bid_expires_in: Seconds = 14 * DAY
    hold_expires_in: Seconds = 3 * DAY
    commit_within: Seconds = 7 * DAY
    deliver_within: Seconds = 90 * DAY
    confirm_within: Seconds = 14 * DAY
    hold_cooldown: Seconds = DAY
    max_holds: Annotated[int, Field(ge=1, le=10_000)] = 10
    idempotency_keys_kept: Annotated[int, Field(ge=DAY, le=365 * DAY)] = 2 * DAY
    sessions_kept: Annotated[int, Field(ge=DAY, le=10 * 365 * DAY)] = 30 * DAY
    mails_kept: Annotated[int, Field(ge=DAY, le=10 * 365 * DAY)] = 30 * DAY
    security_events_kept: Annotated[int, Field(ge=7 * DAY, le=10 * 365 * DAY)] = 180 * DAY
    timer_interval: Annotated[float, Field(gt=0, le=3600)] = 5.0

    @field_validator("cors_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Take a comma-separated list, as an environment variable holds it."""
        if isinstance(value, str):
            return [part.strip().rstrip("/") for part in value.split(",") if part.strip()]
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        """Take the forms smtp://user:password@host:587 and smtps://…"""
        parts = urlsplit(value.get_secret_value()) if value is not None else None
        if parts is not None and (parts.scheme not in {"smtp", "smtps"} or not parts.hostname):
            raise ValueError("must look like smtp://user:password@host:587 or smtps://user:password@host")
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, value: SecretStr | None) -> SecretStr | None:
        """Take the forms that redis-py reads."""
        parts = urlsplit(value.get_secret_value()) if value is not None else None
        if parts is not None and (parts.scheme not in {"redis", "rediss"} or not parts.hostname):
            raise ValueError("must look like redis://user:password@host:6379/0 or rediss://…")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: list[str]) -> list[str]:
        try:
            proxies.networks(value)
        except ValueError:
            raise ValueError("must list addresses or networks, like 10.0.0.0/8") from None
        return value

    @model_validator(mode="after")
    def _production_is_explicit(self) -> Self:
        """Refuse a production start with what only development may leave out."""
        if self.jwt_secret is not None and len(self.jwt_secret.get_secret_value().encode()) < 32:
            raise ValueError("JWT_SECRET must have at least 32 bytes")
        if self.app_env == "production" and (found := list(production.complaints(self))):
            raise ValueError("; ".join(dict.fromkeys(found)))
        return self

    @property
    def allowed_origins(self) -> list[str]:
        """The origins whose pages may call the API. Production has none until they are named."""
        named = self.app_env != "production" or "cors_origins" in self.model_fields_set
        return self.cors_origins if named else []

    @property
    def address(self) -> str | None:
        """Where the public finds this service, for what is printed; None in production until `PUBLIC_URL` is set."""
        if self.public_url is None and self.app_env != "production":
            return f"http://localhost:{self.port}"
        return self.public_url.rstrip("/") if self.public_url is not None else None

    @property
    def mails(self) -> Path:
        """The folder that mails are written to while no mail server is configured."""
        return self.data_dir / "mail"

    @property
    def uploads(self) -> Path:
        """The folder of uploaded scripts. It is never mounted as a static folder."""
        return self.upload_dir or self.data_dir / "uploads"

    @property
    def docs(self) -> bool:
        """Whether /docs and /openapi.json are served: unless set, everywhere but in production."""
        return self.app_env != "production" if self.docs_enabled is None else self.docs_enabled

    @cached_property
    def trusted_networks(self) -> tuple[proxies.Network, ...]:
        """The proxies whose X-Forwarded-For counts."""
        return proxies.networks(self.trusted_proxies)

    def signing_secret(self) -> str:
        """The secret that signs tokens and links.

        In development it is made once and kept in `DATA_DIR/jwt-secret`, readable by its owner alone.
        """
        if self.jwt_secret is not None:
            return self.jwt_secret.get_secret_value()
        path = self.data_dir / "jwt-secret"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        try:
            with open(path, "x", opener=_owner_only) as file:
                file.write(secrets.token_urlsafe(48))
        except FileExistsError:
            pass
        return path.read_text().strip()


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@lru_cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises pydantic's ValidationError, which names the variable and never its value.
    """
    return Settings()
