"""Ids: UUIDv7, made in Python so that every PostgreSQL from 15 on will do."""

from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new id; later ids sort after earlier ones."""
    return uuid7()


def new_id_text() -> str:
    """The same as text, without a UUID object: for rows by the hundred thousand."""
    return str(uuid_utils.uuid7())
