"""Ids: UUIDv7, made in Python so that every PostgreSQL from 15 on will do."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7

_given: ContextVar[deque[UUID] | None] = ContextVar("given_ids", default=None)


def new_id() -> UUID:
    """A new id; later ids sort after earlier ones."""
    given = _given.get()
    return given.popleft() if given else uuid7()


def new_event_id() -> UUID:
    """The id of a line of the record. It is never a given one: how many lines precede a thing is nobody's concern."""
    return uuid7()


def new_id_text() -> str:
    """The same as text, without a UUID object: for rows by the hundred thousand."""
    given = _given.get()
    return str(given.popleft() if given else uuid_utils.uuid7())


@contextmanager
def given(*ids: UUID) -> Iterator[None]:
    """Let the first new ids until the block ends be these, for this task alone: the demo's things have known ids."""
    token = _given.set(deque(ids))
    try:
        yield
    finally:
        _given.reset(token)
