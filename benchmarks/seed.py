"""The stated data: ids, names and states follow from a number, so a load can name any row without asking for it.

The rows go in with triggers and foreign keys off (`session_replication_role`): a dozen guards a row would take an hour.
`check` then holds every foreign key in the catalogue against what is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

GENRES = (
    "Action Adventure Animation Biography Comedy Crime Documentary Drama Family Fantasy "
    "History Horror Musical Mystery Romance Satire Sports Thriller War Western"
).split()
USER, SESSION, PROJECT, SLOT, BID, COMMITMENT, SKU = range(1, 8)
EPOCH_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
PASSWORD = "a password of some length"
SEED = Path(__file__).with_name("seed.sql")


def made_id(kind: int, n: int) -> UUID:
    """The id of the n-th row of a kind, a UUIDv7, as `bench_id` makes it in SQL."""
    return UUID(f"{EPOCH_MS + n:012x}7{kind:03x}8{n:015x}")


@dataclass(frozen=True, slots=True)
class Size:
    """How much data: everything follows from the number of slots."""

    slots: int

    @property
    def projects(self) -> int:
        """A quarter of the slots: 50,000 at 200,000."""
        return self.slots // 4

    @property
    def users(self) -> int:
        """A tenth: 20,000 at 200,000."""
        return max(400, self.slots // 10)

    @property
    def creators(self) -> int:
        """Every fourth user."""
        return self.users // 4 - 1

    @property
    def buyers(self) -> int:
        """The others, less the first few."""
        return 3 * (self.users // 4 - 3)

    @property
    def bids(self) -> int:
        """One and a half a slot: 300,000 at 200,000."""
        return self.slots * 3 // 2

    def buyer(self, number: int) -> int:
        """The n of the user who is the number-th buyer."""
        number %= self.buyers
        return 4 * (number // 3 + 2) + 1 + number % 3

    def bidder(self, slot: int, place: int) -> int:
        """The n of the user whose bid is the place-th on a slot: different for different places."""
        return self.buyer(slot * 31 + place * 7919)

    def creator_of(self, slot: int) -> int:
        """The n of the user who owns a slot."""
        return 4 * (1 + (1 + slot % self.projects) % self.creators)


def statements(size: Size, digest: str) -> list[str]:
    """What is run, in order; `digest` is the hash of everyone's password."""
    genres = ", ".join(f"'{genre}'" for genre in GENRES)
    names = ("slots", "projects", "users", "creators", "buyers", "bids")
    text = SEED.read_text().format(
        epoch=EPOCH_MS, digest=digest, genres=genres, **{name: getattr(size, name) for name in names}
    )
    return text.split("\n--\n")


async def fill(dsn: str, size: Size, digest: str) -> None:
    """Fill a migrated, empty database, and check what was put in. Needs a superuser."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("SET synchronous_commit = off")
        await connection.execute("SET work_mem = '256MB'")
        async with connection.transaction():
            for statement in statements(size, digest):
                await connection.execute(statement)
        await connection.execute("SET session_replication_role = origin")
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
        await _check(connection)
    finally:
        await connection.close()


async def _check(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Every foreign key holds, as it would have been held row by row. Raises ValueError naming those that do not."""
    keys = await connection.fetch("""
        SELECT conname, conrelid::regclass::text AS source, confrelid::regclass::text AS target,
            (SELECT array_agg(quote_ident(attname) ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
             JOIN pg_attribute ON attrelid = conrelid AND attnum = number) AS columns,
            (SELECT array_agg(quote_ident(attname) ORDER BY place) FROM unnest(confkey) WITH ORDINALITY AS key (number, place)
             JOIN pg_attribute ON attrelid = confrelid AND attnum = number) AS targets
        FROM pg_constraint WHERE contype = 'f'""")
    broken = []
    for key in keys:
        there = " AND ".join(f"s.{column} IS NOT NULL" for column in key["columns"])
        match = " AND ".join(
            f"t.{target} = s.{column}" for column, target in zip(key["columns"], key["targets"], strict=True)
        )
        query = (
            f"SELECT count(*) FROM {key['source']} s LEFT JOIN {key['target']} t ON {match} WHERE {there} AND t IS NULL"
        )
        if count := await connection.fetchval(query):
            broken.append(f"{key['conname']}: {count}")
    if broken:
        raise ValueError(f"the seed breaks foreign keys: {', '.join(broken)}")
