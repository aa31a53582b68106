"""The worker: a loop inside every server process that does what is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from backend.core.database import Database
from backend.jobs import deadlines, limits, mails, sweeps

# Each does a bounded piece of what is due and answers how much it did.
Job = Callable[[Database], Awaitable[int]]
JOBS: Sequence[Job] = (
    deadlines.expire_due,
    mails.deliver,
    sweeps.sweep_keys,
    sweeps.sweep_sessions,
    sweeps.sweep_mails,
    sweeps.sweep_security_events,
    sweeps.sweep_sign_ins,
    limits.forget_full,
)

log = structlog.get_logger()


async def run(database: Database, stop: asyncio.Event, jobs: Sequence[Job], interval: float) -> None:
    """Do every job, then wait `interval` seconds, until `stop` is set. A job that fails is logged."""
    while not stop.is_set():
        for job in jobs:
            try:
                await job(database)
            except Exception:
                log.exception("job_failed", job=f"{job.__module__}.{getattr(job, '__name__', job)}")
        try:
            await asyncio.wait_for(stop.wait(), interval)
        except TimeoutError:
            continue


@asynccontextmanager
async def running(
    database: Database, jobs: Sequence[Job] = JOBS, *, interval: float | None = None
) -> AsyncIterator[None]:
    """The worker runs until the block ends; what it is doing then is finished first.

    `interval` is `TIMER_INTERVAL` seconds unless given.
    """
    stop = asyncio.Event()
    task = asyncio.create_task(run(database, stop, jobs, interval or database.settings.timer_interval))
    try:
        yield
    finally:
        stop.set()
        await task
