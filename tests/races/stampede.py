"""R2: rivals and repeats who all wait at one lock, then run. The same stampede with a guard removed has two winners."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx2
import pytest

from backend.core.statements import Statement
from backend.models.users import Role
from backend.services.bidding import placing
from backend.services.deals import locking
from tests.factories.world import World
from tests.races.queues import EVERYTHING, held, line_up

T = TypeVar("T")

# What guards the hold inside PostgreSQL, for the databases in which a test takes it away.
WITHOUT_KEYS = [
    "ALTER TABLE bids DROP CONSTRAINT fk_bids_hold",
    "ALTER TABLE slots DROP CONSTRAINT fk_slots_holder",
    # These two lock the slot a little on every insert of a bid, which turns the race into deadlocks.
    "ALTER TABLE bids DROP CONSTRAINT fk_bids_slot",
    "ALTER TABLE bids DROP CONSTRAINT fk_bids_modality",
]
WITHOUT_INDEX = ["DROP INDEX uq_bids_buyer_id_slot_id_undeclined"]


@contextmanager
def without_locks(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Buyer, slot and bid are looked at and not locked."""
    with patch.context() as here:
        take_locks_away(here)
        yield


def take_locks_away(patch: pytest.MonkeyPatch) -> None:
    """From now on they are looked at and not locked."""
    roles = (Role.ADVERTISER, Role.CREATOR)
    locks = [placing._lock_slot(Role.ADVERTISER), *(locking._lock_slot(role) for role in roles)]
    for statement in [*locks, placing._LOCK_BUYER, locking._READ_LOCKED]:
        patch.setattr(statement, "sql", unlocked(statement))


def unlocked(statement: Statement) -> str:
    """Its SQL without FOR UPDATE."""
    text, locks = re.subn(r" FOR (NO KEY )?UPDATE[^)]*$", "", statement.sql)
    assert locks == 1, "this statement locks nothing: the guard has moved, and this test must follow"
    return text


async def reservation(world: World, dsn: str, rivals: int) -> tuple[list[httpx2.Response], list[httpx2.Response]]:
    """Rivals place on one PG/Reservation slot, each twice under one key; answers the first calls and the repeats."""
    creator = await world.creator()
    slot = await world.slot(creator, modality="PG/Reservation")
    buyers = [await world.advertiser() for _ in range(rivals)]
    path, body = f"/slots/{slot['id']}/bids", {"amount": 1500, "objective": "Awareness"}
    calls = [buyer.post(path, body, headers={"Idempotency-Key": "mine"}) for buyer in buyers for _ in range(2)]
    answers = await released(dsn, calls)
    return answers[::2], answers[1::2]


async def approvals(world: World, dsn: str, rivals: int) -> list[httpx2.Response]:
    """The creator approves every bid on one auction slot, each twice; only one can take the hold."""
    creator = await world.creator()
    slot = await world.slot(creator)
    bids = [await world.bid(await world.advertiser(), slot) for _ in range(rivals)]
    return await released(dsn, [creator.post(f"/bids/{bid['id']}/approve") for bid in bids for _ in range(2)])


async def second_bids(world: World, dsn: str, calls: int) -> list[httpx2.Response]:
    """One buyer bids on one auction slot many times at once, without a key."""
    creator, buyer = await world.creator(), await world.advertiser()
    slot = await world.slot(creator)
    body = {"amount": 1500, "objective": "Awareness"}
    return await released(dsn, [buyer.post(f"/slots/{slot['id']}/bids", body) for _ in range(calls)])


async def released(dsn: str, calls: list[Coroutine[Any, Any, T]]) -> list[T]:
    """Let all wait at the table of slots, then let go."""
    async with held(dsn, EVERYTHING) as watcher:
        tasks = await line_up(watcher, calls, by=len(calls) - 2)
    return list(await asyncio.gather(*tasks))
