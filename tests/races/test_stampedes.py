"""R2 and R3, the short form. Each race is also shown to happen once its guards are removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest
from pydantic import SecretStr

from backend.core.config import Settings
from tests.factories.refusals import refused
from tests.factories.world import World
from tests.faults import invariants
from tests.races import stampede

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
RIVALS = int(os.environ.get("STAMPEDE_RIVALS", "8"))


@pytest.fixture
def settings(tmp_path: Path, dsn: str) -> Settings:
    """A pool that lets every rival reach the database, and patience enough to wait there."""
    return Settings(
        _env_file=None,
        app_env="test",
        database_url=SecretStr(dsn),
        data_dir=tmp_path,
        jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
        db_pool_size=2 * RIVALS + 4,
        db_wait_seconds=20,
    )


async def test_one_of_many_reserves_the_slot_and_repeats_get_the_winners_answer(world: World, dsn: str) -> None:
    calls, repeats = await stampede.reservation(world, dsn, RIVALS)
    statuses = sorted(answer.status_code for answer in calls)
    assert statuses == [201] + [409] * (RIVALS - 1)
    for call, repeat in zip(calls, repeats, strict=True):
        assert call.status_code == repeat.status_code
        if call.status_code == 201:
            assert call.content == repeat.content
        else:
            refused(call, 409, "slot_locked")
            refused(repeat, 409, "slot_locked")
    await invariants.must_hold(dsn)


async def test_without_its_guards_the_slot_is_reserved_twice(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in stampede.WITHOUT_KEYS:
        await sql.execute(statement)
    with stampede.without_locks(monkeypatch):
        calls, _ = await stampede.reservation(world, dsn, RIVALS)
    assert [answer.status_code for answer in calls].count(201) > 1, "the race does not happen: this test shows nothing"


async def test_postgresql_refuses_a_second_holder_also_without_our_locks(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sql.execute("CREATE TABLE not_for_the_next_test ()")  # its deadlocks stay in this database's statistics
    with stampede.without_locks(monkeypatch):
        answers = await stampede.approvals(world, dsn, RIVALS)
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) <= 1
    assert await invariants.violations(sql) == {}


async def test_one_of_many_approvals_takes_the_hold(world: World, dsn: str) -> None:
    answers = await stampede.approvals(world, dsn, RIVALS)
    won = [answer.json()["id"] for answer in answers if answer.status_code == 200]
    assert len(won) == 2, "one bid, and its repeat"
    assert len(set(won)) == 1
    for answer in answers:
        if answer.status_code != 200:
            refused(answer, 409, "slot_locked")
    await invariants.must_hold(dsn)


async def test_without_its_guards_two_approvals_take_the_hold(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in stampede.WITHOUT_KEYS:
        await sql.execute(statement)
    with stampede.without_locks(monkeypatch):
        answers = await stampede.approvals(world, dsn, RIVALS)
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 200}) > 1


async def test_a_buyer_has_one_bid_on_a_slot_however_often_it_is_placed_at_once(world: World, dsn: str) -> None:
    answers = await stampede.second_bids(world, dsn, 2 * RIVALS)
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * (2 * RIVALS - 1)
    for answer in answers:
        if answer.status_code == 409:
            refused(answer, 409, "already_bid")
    await invariants.must_hold(dsn)


async def test_without_lock_and_index_a_buyer_has_two_bids_on_a_slot(
    world: World, dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in stampede.WITHOUT_INDEX:
        await sql.execute(statement)
    with stampede.without_locks(monkeypatch):
        answers = await stampede.second_bids(world, dsn, 2 * RIVALS)
    assert [answer.status_code for answer in answers].count(201) > 1
