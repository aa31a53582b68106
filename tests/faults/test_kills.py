"""R5 and R6, the short form: a few kills. The long form is `python -m tests.faults api-kills` and `postgres-kills`."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.commands.running import data_folder
from tests.faults import kills
from tests.faults.servers import two_workers

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes under /proc"),
]
# A machine that runs other tests beside this one is slower than the promise's; the long form holds the promise itself.
SLACK = 4
# With uvicorn's own workers it takes as long as a slow answer may: `timeout_worker_healthcheck`, 20 seconds.
REPLACED_SECONDS = 15


def test_no_acknowledged_write_is_lost_when_a_process_is_killed() -> None:
    with data_folder() as folder, two_workers(folder, LOG_LEVEL="info") as (server, dsn):
        api = asyncio.run(kills.under_fire(server, folder, dsn, 2, postgres=False))
        assert api.slowest_healing < kills.HEAL_SECONDS * SLACK
        database = asyncio.run(kills.under_fire(server, folder, dsn, 2, postgres=True))
        assert database.refused > 0, "nobody noticed that PostgreSQL was gone"
        assert database.slowest_refusal < kills.ANSWER_SECONDS * SLACK
        assert database.slowest_healing < kills.HEAL_SECONDS * SLACK
        assert asyncio.run(kills.kill_while_asked(server)) < REPLACED_SECONDS
        assert server.stop() == 0
