"""Where the database is: `DATABASE_URL`, or the embedded PostgreSQL under `DATA_DIR`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backend.core.config import Settings
from backend.integrations.postgres import embedded_postgres


@contextmanager
def database_dsn(settings: Settings) -> Iterator[str]:
    """The address to connect to while the block lasts.

    Without `DATABASE_URL` it is the embedded server that already runs for this folder, or one started for the block.
    Raises PostgresError with a sentence when neither is to be had.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
    else:
        with embedded_postgres(settings.data_dir, pg_bin=settings.pg_bin) as dsn:
            yield dsn
