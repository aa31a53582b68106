"""Ids: UUIDv7, made in Python so that every PostgreSQL from 15 on will do."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A new id; later ids sort after earlier ones."""
    return uuid7()
