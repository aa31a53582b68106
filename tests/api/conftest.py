"""What tests over HTTP share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backend.core.database import Database, Db
from backend.policies.users import Admissions
from tests.factories.mailbox import Mailbox


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """The SQL of every statement that the service runs, in order; `clear()` it before the call to be counted."""
    seen: list[str] = []
    patch = pytest.MonkeyPatch()
    patch.setattr(Admissions, "LIFETIME", 0.0)  # every call asks who calls, whatever came before it
    for name in ("fetch", "executemany", "copy"):
        original = getattr(Db, name)

        def counted(self: Db, sql: str, *args: Any, _original: Any = original, **more: Any) -> Any:
            seen.append(sql)
            return _original(self, sql, *args, **more)

        patch.setattr(Db, name, counted)
    yield seen
    patch.undo()


@pytest.fixture
def mailbox(database: Database) -> Mailbox:
    """The mails that the service sends."""
    return Mailbox(database)
