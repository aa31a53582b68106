"""The short form of S15: every call by one of the six identities. `python -m tests.fuzz` is the long form."""

from __future__ import annotations

import os

import pytest

from tests.architecture.routes import document, operations
from tests.commands.running import data_folder
from tests.conftest import SERVER
from tests.fuzz.exclusions import EXCLUSIONS
from tests.fuzz.identities import IDENTITIES, prepare, served, token_of
from tests.fuzz.runner import Outcome, configured, run

CALLS = [operation.id for operation in operations()]


@pytest.mark.timeout(600)
def test_no_generated_request_finds_a_failure() -> None:
    """Each identity has its share of the calls."""
    server, found = os.environ[SERVER], Outcome()
    with data_folder() as folder:
        prepare(server, folder)
        with served(server, folder, "all") as (running, dsn):
            for turn, name in enumerate(IDENTITIES):
                mine = CALLS[turn :: len(IDENTITIES)]
                token = token_of(running.url, dsn, name)
                config = configured(running.url, token, most=2, seed=1, phases=("fuzzing",))
                found.add(run(document(), config, mine.__contains__))
    assert not found.failures, "\n".join(f"{where}: {told}" for where, told in found.failures.items())
    assert found.cases > len(CALLS)
    assert found.statuses[200] > 10, "it does get in"


def test_what_is_excluded_says_why() -> None:
    assert all(len(each.reason) > 30 for each in EXCLUSIONS)
