"""The pool, the fair gate and the two doors."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, bindparam, insert, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert

from backend.core.config import Settings
from backend.core.database import Database, Tx, normal_dsn
from backend.core.errors import Unavailable
from backend.core.statements import Statement

ONE = Statement(select(literal(1)))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"db_pool_size": 2, "db_wait_seconds": 0.3, "db_statement_seconds": 0.4})


async def test_the_gate_lets_in_whoever_came_first(database: Database) -> None:
    order: list[int] = []
    taken = [database.reading(), database.reading()]
    for each in taken:
        await each.__aenter__()

    async def come(number: int) -> None:
        async with database.reading():
            order.append(number)

    waiting = []
    for number in range(8):
        waiting.append(asyncio.create_task(come(number)))
        await asyncio.sleep(0)
    for each in taken:
        await each.__aexit__(None, None, None)
    await asyncio.gather(*waiting)
    assert order == sorted(order)


async def test_nobody_waits_for_ever_and_the_gate_heals(database: Database) -> None:
    async with database.reading(), database.reading():
        with pytest.raises(Unavailable) as caught:
            async with database.reading():
                pass
        assert (caught.value.code, caught.value.headers["Retry-After"]) == ("busy", "1")
    async with database.reading() as db:
        assert await ONE.value(db) == 1


async def test_who_gives_up_waiting_takes_no_place(database: Database) -> None:
    async with database.reading(), database.reading():
        impatient = asyncio.create_task(database.reading().__aenter__())
        await asyncio.sleep(0.05)
        impatient.cancel()
        with pytest.raises(asyncio.CancelledError):
            await impatient
    async with database.reading(), database.reading() as db:
        assert await ONE.value(db) == 1


async def test_a_lock_is_waited_for_no_longer_than_a_connection(
    database: Database, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE users")
        started = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable) as caught:
            await database.change(lambda tx: tx.fetch("SELECT FROM users"))
        assert 0.25 < asyncio.get_running_loop().time() - started < 2
    assert (caught.value.code, caught.value.headers["Retry-After"]) == ("busy", "1")


async def test_a_statement_has_its_time_unless_it_is_given_more(database: Database) -> None:
    async with database.reading() as db:
        async with db.patiently(2):
            await db.fetch("SELECT pg_sleep(0.6)")
        with pytest.raises(asyncpg.QueryCanceledError):
            await db.fetch("SELECT pg_sleep(0.6)")
    with pytest.raises(Unavailable) as caught:
        await database.change(lambda tx: tx.fetch("SELECT pg_sleep(0.6)"))
    assert caught.value.code == "busy"


async def test_a_transaction_that_idles_is_ended(database: Database, sql: asyncpg.Connection[asyncpg.Record]) -> None:
    async def idle(tx: Tx) -> None:
        await tx.fetch("LOCK TABLE users")
        await asyncio.sleep(0.8)
        await tx.fetch("SELECT 1")

    with pytest.raises(Unavailable):
        await database.change(idle)
    await sql.execute("SET lock_timeout = '100ms'")
    await sql.fetch("SELECT FROM users")


async def test_a_change_that_fails_leaves_nothing(database: Database, sql: asyncpg.Connection[asyncpg.Record]) -> None:
    await sql.execute("CREATE TABLE marks (n int)")

    async def fail(tx: Tx) -> None:
        await tx.fetch("INSERT INTO marks VALUES (1)")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await database.change(fail)
    assert await sql.fetchval("SELECT count(*) FROM marks") == 0


async def test_a_serialization_failure_runs_the_whole_once_more(database: Database) -> None:
    tries = 0

    async def work(tx: Tx) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise asyncpg.SerializationError("again")
        return int((await tx.fetch("SELECT 7"))[0][0])

    assert (await database.change(work), tries) == (7, 2)

    async def never(_: Tx) -> None:
        raise asyncpg.DeadlockDetectedError("again")

    with pytest.raises(Unavailable) as caught:
        await database.change(never)
    assert caught.value.code == "contention"


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("postgres://u:p@h/db", "postgresql://u:p@h/db"),
        ("postgresql+asyncpg://u@h:5433/db", "postgresql://u@h:5433/db"),
        ("postgres://h/db?sslmode=require&channel_binding=require", "postgresql://h/db?sslmode=require"),
    ],
)
def test_a_database_url_is_taken_as_hosts_print_it(url: str, normal: str) -> None:
    assert normal_dsn(url) == normal


def test_another_url_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="DATABASE_URL") as caught:
        normal_dsn("mysql://u:planted@h/db")
    assert "planted" not in str(caught.value)


# Rows that are added: sent together, in order.

MARKS = Table("marks", MetaData(), Column("n", Integer), Column("m", Integer))
MARK = Statement(insert(MARKS).values(n=bindparam("p_n"), m=bindparam("p_n")))
MARK_ONCE = Statement(upsert(MARKS).values(m=bindparam("p_m"), n=bindparam("p_n")).on_conflict_do_nothing())
ALL = Statement(select(MARKS.c.n, MARKS.c.m).order_by(MARKS.c.n))
# Each row but the first is written after one that is less by one.
IN_ORDER = """
    CREATE TABLE marks (n int UNIQUE, m int);
    CREATE FUNCTION in_order() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.n > 1 AND NOT EXISTS (SELECT FROM marks WHERE n = NEW.n - 1) THEN
            RAISE EXCEPTION 'out of order' USING ERRCODE = 'check_violation';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER in_order BEFORE INSERT ON marks FOR EACH ROW EXECUTE FUNCTION in_order();
"""


async def test_added_rows_go_in_order_in_one_round_trip_before_what_asks_for_them(
    database: Database, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    await sql.execute(IN_ORDER)

    async def add(tx: Tx) -> list[tuple[int, int]]:
        for n in range(1, 13):
            MARK.add(tx, p_n=n)
        MARK_ONCE.add(tx, p_n=7, p_m=0)  # is there already: what comes after it is written all the same
        MARK_ONCE.add(tx, p_n=13, p_m=130)
        MARK.add(tx, p_n=14)
        assert tx.statements == 0
        rows = await ALL.rows(tx)
        assert tx.statements == 2
        return [(row["n"], row["m"]) for row in rows]

    assert await database.change(add) == [*((n, n) for n in range(1, 13)), (13, 130), (14, 14)]


async def test_rows_added_last_are_committed_with_the_rest(
    database: Database, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    await sql.execute(IN_ORDER)

    async def add(tx: Tx) -> None:
        MARK.add(tx, p_n=1)
        await MARK.many(tx, [{"p_n": 2}, {"p_n": 3}])
        MARK.add(tx, p_n=4)

    await database.change(add)
    assert [row["n"] for row in await sql.fetch("SELECT n FROM marks ORDER BY n")] == [1, 2, 3, 4]


async def test_what_an_added_row_breaks_is_raised_before_the_answer_and_nothing_stays(
    database: Database, sql: asyncpg.Connection[asyncpg.Record]
) -> None:
    await sql.execute(IN_ORDER)

    async def add(tx: Tx) -> str:
        MARK.add(tx, p_n=1)
        MARK.add(tx, p_n=3)
        return "done"

    with pytest.raises(asyncpg.CheckViolationError):
        await database.change(add)
    assert await sql.fetchval("SELECT count(*) FROM marks") == 0


async def test_only_plain_inserts_are_added(database: Database) -> None:
    async def add(tx: Tx) -> None:
        ALL.add(tx)

    with pytest.raises(AssertionError, match="SELECT marks"):
        await database.change(add)
