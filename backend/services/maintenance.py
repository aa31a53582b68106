"""What operators do on the command line: migrate, make an operator, check an installation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import column, select, table

from backend.core.config import Settings
from backend.core.database import Database, Db, Tx
from backend.core.errors import Invalid, NotFound, Problem
from backend.core.passwords import hash_password, must_be_uncommon
from backend.core.statements import Statement
from backend.integrations.storage import Storage
from backend.models.events import ActorRole
from backend.models.users import Role
from backend.schemas.base import ShortText
from backend.schemas.users import Email, NewPassword
from backend.services import files, invariants, sessions, users
from backend.services.users import NewUser

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
_VERSION = Statement(select(column("version_num")).select_from(table("alembic_version")))


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what to do when it is wrong."""

    what: str
    ok: bool
    advice: str = ""


def _alembic(dsn: str | None = None) -> Config:
    config = Config(ROOT / "alembic.ini")
    config.attributes["dsn"] = dsn
    return config


def migrate(dsn: str) -> None:
    """Bring the database to the newest version. Call it outside an event loop."""
    command.upgrade(_alembic(dsn), "head")


async def _look(dsn: str, settings: Settings, work: Callable[[Db], Awaitable[T]]) -> T:
    async with Database.opened(dsn, settings) as database, database.reading() as db:
        return await work(db)


async def create_operator(dsn: str, settings: Settings, email: str, name: str, password: str) -> None:
    """An operator account. Raises Invalid, Conflict `email_taken`."""
    for label, kind, value in (
        ("--email", Email, email),
        ("--name", ShortText, name),
        ("password", NewPassword, password),
    ):
        try:
            TypeAdapter(kind).validate_python(value)
        except ValidationError as error:
            message = error.errors(include_input=False, include_url=False)[0]["msg"]
            raise Invalid.field(label, "is not valid" if label == "--email" else message) from None
    must_be_uncommon(password, email, name)
    digest = await hash_password(password)
    new = NewUser(email, name.strip(), Role.OPERATOR)

    async def work(tx: Tx) -> None:
        await users.create(tx, new, digest, ActorRole.SYSTEM)

    async with Database.opened(dsn, settings) as database:
        await database.change(work)


async def end_sessions(dsn: str, settings: Settings, email: str | None) -> int:
    """Sign the account of an address out everywhere, or without one every account. Answers how many sessions ended.

    Raises NotFound for an unknown address.
    """
    async with Database.opened(dsn, settings) as database:
        async with database.reading() as db:
            found = await sessions.find_by_email(db, email) if email is not None else None
            if email is not None and found is None:
                raise NotFound("There is no account with this address.")
            people = [found["id"]] if found is not None else await sessions.signed_in(db)
        ended = 0
        for user_id in people:
            ended += await database.change(
                lambda tx, user_id=user_id: sessions.end_all(tx, ActorRole.SYSTEM, user_id, "ended_by_operator")  # type: ignore[misc]
            )
    return ended


async def check(dsn: str, settings: Settings) -> list[Finding]:
    """Whether the database answers, stands at the newest migration, keeps what must hold (I1–I8) and has its files."""
    head = ScriptDirectory.from_config(_alembic()).get_current_head()
    try:
        version = await _look(dsn, settings, _VERSION.value)
    except Problem as problem:
        return [Finding("database", False, f"{problem.detail} Is DATABASE_URL right, and does the server run?")]
    except Exception as error:
        return [
            Finding("database", True),
            Finding("migrations", False, f"{type(error).__name__}; run `python -m backend migrate`."),
        ]
    at_head = version == head
    found = [
        Finding("database", True),
        Finding("migrations", at_head, f"at {version}, the newest is {head}; run `python -m backend migrate`."),
    ]
    if not at_head:
        return found
    return [*found, *await _look(dsn, settings, _invariants), await _uploads(dsn, settings)]


async def _uploads(dsn: str, settings: Settings) -> Finding:
    """Whether every script that a row names is in storage."""
    missing = await Storage(settings.uploads).missing(await _look(dsn, settings, files.named))
    advice = f"{len(missing)} scripts are missing in {settings.uploads}, {', '.join(missing[:3])} among them."
    return Finding("uploads", not missing, f"{advice} Restore the folder from its backup.")


async def _invariants(db: Db) -> list[Finding]:
    """The rules of the deals, each counted over all rows."""
    return [
        Finding(f"invariant {each.id}", count == 0, f"{count} times not so: {each.statement}")
        for each, count in await invariants.violations(db)
    ]
