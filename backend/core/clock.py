"""The one clock. Services ask it, tests replace it; nothing else reads the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


def _system_time() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system_time


def now() -> datetime:
    """The time in UTC, with microseconds."""
    return _source()


@contextmanager
def replaced(source: Callable[[], datetime]) -> Iterator[None]:
    """Let `source` tell the time until the block ends (tests)."""
    global _source  # noqa: PLW0603 the one clock is the point
    before, _source = _source, source
    try:
        yield
    finally:
        _source = before
