"""Who calls: six identities, each with a demo of their own and a server on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from pydantic import SecretStr

from backend.core.config import Settings
from backend.services import demo, maintenance
from tests.commands.running import Server, serving
from tests.conftest import run_sql
from tests.databases import on_database

SECRET = "a secret of thirty-two bytes or more"
DEMO = "backdrop_fuzz_demo"
# Their first names in the demo; the disabled one signs in first and is deactivated then.
IDENTITIES = {
    "nobody": None,
    "creator": "creator",
    "advertiser": "advertiser",
    "merchant": "merchant",
    "operator": "operator",
    "disabled": "rival",
}


def prepare(server: str, folder: Path) -> None:
    """The demo, once, as a template for the databases of all identities."""
    run_sql(server, f"DROP DATABASE IF EXISTS {DEMO} WITH (FORCE)", f"CREATE DATABASE {DEMO}")
    dsn = on_database(server, DEMO)
    maintenance.migrate(dsn)
    settings = Settings(
        _env_file=None,
        app_env="test",
        database_url=SecretStr(dsn),
        data_dir=folder,
        upload_dir=folder / "uploads",
        jwt_secret=SecretStr(SECRET),
    )
    asyncio.run(demo.fill(dsn, settings))


@contextmanager
def served(server: str, folder: Path, name: str) -> Iterator[tuple[Server, str]]:
    """A server on a database with the demo of its own, and the database's address."""
    database, home = f"{DEMO}_{name}", folder / name
    home.mkdir()
    run_sql(server, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)", f"CREATE DATABASE {database} TEMPLATE {DEMO}")
    dsn = on_database(server, database)
    settings = {"DATABASE_URL": dsn, "JWT_SECRET": SECRET, "UPLOAD_DIR": str(folder / "uploads")}
    with serving(home, port=None, TRUSTED_PROXIES="127.0.0.1", **settings) as running:
        yield running, dsn
        assert running.stop() == 0
    run_sql(server, f"DROP DATABASE {database} WITH (FORCE)")


def token_of(url: str, dsn: str, name: str) -> str | None:
    """The identity, signed in."""
    who = IDENTITIES[name]
    if who is None:
        return None
    login = {"email": f"{who}@demo.example.com", "password": demo.PASSWORD}
    answer = httpx2.post(f"{url}/api/v1/auth/login", json=login)
    token: str = answer.raise_for_status().json()["token"]
    if name == "disabled":
        run_sql(dsn, f"UPDATE users SET is_active = false WHERE email = '{login['email']}'")
    return token
