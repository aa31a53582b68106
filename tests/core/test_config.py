"""Settings: defaults that run, mistakes that are named, values that are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from backend.core.config import Settings

LONG = "planted-secret-of-more-than-thirty-two-bytes"


def made(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings(_env_file=None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "http"),
        ("APP_ENV", "staging"),
        ("CURRENCY", "dollars"),
        ("JWT_SECRET", "planted"),
        ("JWT_EXPIRES_IN", "-1"),
        ("DB_POOL_SIZE", "0"),
        ("MAX_UPLOAD_MB", "lots"),
        ("LOG_LEVEL", "loud"),
        ("PUBLIC_URL", "ftp://planted"),
    ],
)
def test_a_mistake_is_named_and_its_value_is_not(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        made(monkeypatch, **{name: value})
    text = str(caught.value)
    assert name.lower() in text.lower()
    assert "planted" not in text


def test_production_asks_for_a_secret_and_named_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="JWT_SECRET"):
        made(monkeypatch, APP_ENV="production")
    with pytest.raises(ValidationError, match="CORS_ORIGINS"):
        made(monkeypatch, APP_ENV="production", JWT_SECRET=LONG, CORS_ORIGINS="*")


def test_origins_are_a_list_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch, CORS_ORIGINS="https://a.example/, https://b.example,")
    assert settings.cors_origins == ["https://a.example", "https://b.example"]


def test_an_empty_value_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert made(monkeypatch, DATABASE_URL="", PORT="").port == 8000


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = made(monkeypatch, JWT_SECRET=LONG, DATABASE_URL="postgresql://u:planted@h/db")
    assert "planted" not in repr(settings)
    assert "planted" not in str(settings.model_dump())


def test_development_makes_one_secret_and_keeps_it_to_itself(tmp_path: Path) -> None:
    more: dict[str, Any] = {"_env_file": None, "data_dir": tmp_path, "jwt_secret": None}
    secret = Settings(**more).signing_secret()
    assert len(secret) >= 32
    assert Settings(**more).signing_secret() == secret
    assert (tmp_path / "jwt-secret").stat().st_mode & 0o777 == 0o600
