"""What can go wrong with the embedded PostgreSQL. Every message is a sentence for the person who starts the service."""

from __future__ import annotations


class PostgresError(RuntimeError):
    """The embedded PostgreSQL cannot be used; the message says why and what to do."""


class AlreadyRunning(PostgresError):
    """Another process holds this data folder; the message names the folder and the process."""
