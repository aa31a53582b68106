"""What several tests of security stand on."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from tests.commands.running import data_folder, serving


@pytest.fixture
async def two_servers(dsn: str) -> AsyncIterator[list[str]]:
    """Two server processes on one database."""
    with ExitStack() as stack:
        folder = stack.enter_context(data_folder())
        urls = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            server = serving(folder / name, DATABASE_URL=dsn, JWT_SECRET="a secret of thirty-two bytes or more")
            urls.append(stack.enter_context(server).url)
        yield urls


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, by whomever."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.getLogger()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    for noisy in ("httpx2", "httpcore2", "asyncio"):  # the tests' own client
        logging.getLogger(noisy).setLevel(logging.WARNING)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)
