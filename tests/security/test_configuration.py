"""Production refuses to start on a bad configuration (S16): the variable is named, its value never shown."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from pydantic import ValidationError

from backend.core.config import Settings
from tests.commands.running import backend, data_folder, environment

GOOD = {
    "APP_ENV": "production",
    "JWT_SECRET": secrets.token_urlsafe(48),
    "DATABASE_URL": "postgresql://backdrop:pw@db.example.com/backdrop?sslmode=require",
    "CORS_ORIGINS": "https://app.example.com",
    "PUBLIC_URL": "https://api.example.com",
    "FRONTEND_URL": "https://app.example.com",
    "SMTP_HOST": "mail.example.com",
    "MAIL_FROM": "BackDrop <hello@example.com>",
    "TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::1",
    "RATE_LIMIT": "600/minute",
    "GOOGLE_CLIENT_ID": "1234.apps.googleusercontent.com",
    "GOOGLE_CLIENT_SECRET": secrets.token_urlsafe(24),
    "GITHUB_CLIENT_ID": "Ov23liExample",
    "GITHUB_CLIENT_SECRET": secrets.token_urlsafe(24),
}
# Who offers a provider must say where browsers come back to.
NO_PROVIDER: dict[str, str | None] = dict.fromkeys(name for name in GOOD if name.startswith(("GOOGLE_", "GITHUB_")))
# What is wrong, the variable that must be named, and the changes that make it wrong. None takes a variable away.
BAD: list[tuple[str, str, dict[str, str | None]]] = [
    ("no secret", "JWT_SECRET", {"JWT_SECRET": None}),
    ("a short secret", "JWT_SECRET", {"JWT_SECRET": "planted-k3v9"}),
    ("a secret of one letter", "JWT_SECRET", {"JWT_SECRET": "planted" * 10}),
    ("a placeholder as secret", "JWT_SECRET", {"JWT_SECRET": "change-me-change-me-planted-0123456789"}),
    ("a secret of digits", "JWT_SECRET", {"JWT_SECRET": "0123456789" * 5}),
    ("an endless access token", "JWT_EXPIRES_IN", {"JWT_EXPIRES_IN": "31536000"}),
    ("a refresh token that ends first", "REFRESH_EXPIRES_IN", {"REFRESH_EXPIRES_IN": "60"}),
    ("a time that is negative", "HOLD_EXPIRES_IN", {"HOLD_EXPIRES_IN": "-5"}),
    ("every origin", "CORS_ORIGINS", {"CORS_ORIGINS": "*"}),
    ("origins by pattern", "CORS_ORIGINS", {"CORS_ORIGINS": "https://*.planted.example"}),
    ("an origin without TLS", "CORS_ORIGINS", {"CORS_ORIGINS": "https://a.example,http://planted.example"}),
    ("an origin with a path", "CORS_ORIGINS", {"CORS_ORIGINS": "https://planted.example/app"}),
    ("the origin null", "CORS_ORIGINS", {"CORS_ORIGINS": "null"}),
    ("a public address without TLS", "PUBLIC_URL", {"PUBLIC_URL": "http://planted.example"}),
    ("a public address with a user", "PUBLIC_URL", {"PUBLIC_URL": "https://planted:planted@api.example"}),
    ("a public address that is none", "PUBLIC_URL", {"PUBLIC_URL": "planted.example"}),
    ("a frontend without TLS", "FRONTEND_URL", {"FRONTEND_URL": "http://planted.example"}),
    ("another Redis", "REDIS_URL", {"REDIS_URL": "memcached://planted.example"}),
    ("a Redis without TLS", "REDIS_URL", {"REDIS_URL": "redis://planted:planted@planted.example:6379/0"}),
    ("another database", "DATABASE_URL", {"DATABASE_URL": "mysql://planted:planted@db.example/x"}),
    ("a database that cannot be read", "DATABASE_URL", {"DATABASE_URL": "postgresql://[planted/x"}),
    (
        "a database without TLS",
        "DATABASE_URL",
        {"DATABASE_URL": "postgresql://planted:planted@db.example.com/x?sslmode=disable"},
    ),
    (
        "a database that may do without TLS",
        "DATABASE_URL",
        {"DATABASE_URL": "postgresql://planted:planted@db.example.com/x"},
    ),
    (
        "a database that prefers TLS",
        "DATABASE_URL",
        {"DATABASE_URL": "postgresql://planted:planted@93.184.216.34/x?sslmode=prefer"},
    ),
    ("every proxy trusted", "TRUSTED_PROXIES", {"TRUSTED_PROXIES": "0.0.0.0/0"}),
    ("a proxy that is no address", "TRUSTED_PROXIES", {"TRUSTED_PROXIES": "planted.example"}),
    ("a limit that is none", "RATE_LIMIT", {"RATE_LIMIT": "planted"}),
    ("a port out of range", "PORT", {"PORT": "70001"}),
    ("a port that is none", "PORT", {"PORT": "planted"}),
    ("a host that is none", "HOST", {"HOST": "planted host"}),
    ("no process", "WORKERS", {"WORKERS": "0"}),
    ("an environment that is none", "APP_ENV", {"APP_ENV": "planted"}),
    ("logging that tells too much", "LOG_LEVEL", {"LOG_LEVEL": "debug"}),
    ("a currency that is none", "CURRENCY", {"CURRENCY": "planted"}),
    ("uploads into a file", "UPLOAD_DIR", {"UPLOAD_DIR": "/dev/null/planted"}),
    ("data into a file", "DATA_DIR", {"DATA_DIR": "/dev/null/planted"}),
    ("no room for uploads", "MAX_UPLOAD_MB", {"MAX_UPLOAD_MB": "-1"}),
    ("mail without TLS", "SMTP_STARTTLS", {"SMTP_STARTTLS": "false"}),
    ("a mail password without a user", "SMTP_USERNAME", {"SMTP_PASSWORD": "planted"}),
    ("mail from nowhere", "MAIL_FROM", {"MAIL_FROM": "BackDrop <planted@localhost>"}),
    ("a mail server that is none", "SMTP_URL", {"SMTP_URL": "https://planted.example"}),
    ("a provider's id without its secret", "GOOGLE_CLIENT_SECRET", {"GOOGLE_CLIENT_SECRET": None}),
    ("a provider's secret without its id", "GITHUB_CLIENT_ID", {"GITHUB_CLIENT_ID": None}),
    ("a provider without a way back", "PUBLIC_URL", {"PUBLIC_URL": None}),
    ("a provider without a frontend", "FRONTEND_URL", {"FRONTEND_URL": None}),
    ("a way back without TLS", "PUBLIC_URL", {"PUBLIC_URL": "http://planted.example"}),
    ("an issuer without TLS", "GOOGLE_ISSUER", {"GOOGLE_ISSUER": "http://planted.example"}),
    ("a provider's page without TLS", "GOOGLE_AUTHORIZE_URL", {"GOOGLE_AUTHORIZE_URL": "http://planted.example"}),
    ("tokens without TLS", "GOOGLE_TOKEN_URL", {"GOOGLE_TOKEN_URL": "http://planted.example/token"}),
    ("keys without TLS", "GOOGLE_JWKS_URL", {"GOOGLE_JWKS_URL": "http://planted.example/jwks"}),
    ("GitHub without TLS", "GITHUB_URL", {"GITHUB_URL": "http://planted.example"}),
    ("an API that is no address", "GITHUB_API_URL", {"GITHUB_API_URL": "planted.example"}),
    ("a sign-in that waits for days", "OAUTH_EXPIRES_IN", {"OAUTH_EXPIRES_IN": "864000"}),
    ("a proof that ends at once", "EMAIL_VERIFICATION_EXPIRES_IN", {"EMAIL_VERIFICATION_EXPIRES_IN": "77"}),
    ("binaries that are not there", "PG_BIN", {"PG_BIN": "/planted"}),
]


def started(monkeypatch: pytest.MonkeyPatch, folder: Path, changes: dict[str, str | None]) -> Settings:
    for name, value in {"DATA_DIR": str(folder), **GOOD, **changes}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    return Settings(_env_file=None)


def test_a_good_configuration_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = started(monkeypatch, tmp_path, {})
    assert settings.allowed_origins == ["https://app.example.com"]
    assert not settings.docs


@pytest.mark.parametrize(
    "left_out", sorted(set(GOOD) - set(NO_PROVIDER) - {"APP_ENV", "JWT_SECRET", "SMTP_HOST", "MAIL_FROM"})
)
def test_what_has_a_safe_default_may_be_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, left_out: str
) -> None:
    started(monkeypatch, tmp_path, {**NO_PROVIDER, left_out: None})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "10.1.2.3", "db"])
def test_a_database_nearby_may_do_without_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str) -> None:
    started(monkeypatch, tmp_path, {"DATABASE_URL": f"postgresql://backdrop:pw@{host}/backdrop"})


def test_production_allows_no_origin_that_was_not_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert started(monkeypatch, tmp_path, {"CORS_ORIGINS": None}).allowed_origins == []
    assert started(monkeypatch, tmp_path, {"APP_ENV": "development"}).allowed_origins == ["https://app.example.com"]


@pytest.mark.parametrize(("name", "changes"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_a_bad_configuration_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, changes: dict[str, str | None]
) -> None:
    with pytest.raises(ValidationError) as refused:
        started(monkeypatch, tmp_path, changes)
    text = str(refused.value)
    assert name in text.upper()
    for value in changes.values():
        assert value is None or value not in text, "the value is shown"
    assert "planted" not in text


def test_the_command_line_says_so_in_sentences() -> None:
    with data_folder() as folder:
        changes = {"CORS_ORIGINS": "http://planted.example", "LOG_LEVEL": "debug"}
        refused = backend("serve", env=environment(folder, **{**GOOD, **changes}))
    assert refused.returncode == 1
    assert "CORS_ORIGINS" in refused.stderr
    assert "LOG_LEVEL" in refused.stderr
    assert "planted" not in refused.stderr + refused.stdout
    assert GOOD["JWT_SECRET"] not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_development_starts_with_nothing_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert started(monkeypatch, tmp_path, dict.fromkeys(GOOD)).app_env == "development"
