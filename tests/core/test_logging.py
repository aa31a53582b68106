from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog
from pydantic import SecretStr

from backend.core.config import Settings
from backend.core.logging import configure_logging, request_line

FIELDS = {"method": "GET", "route": "listSlots", "status": 200, "ms": 12.5, "user_id": None}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The loggers as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    configure_logging(Settings(_env_file=None, app_env="test"))
    root.handlers = handlers


def lines(monkeypatch: pytest.MonkeyPatch, **more: str) -> list[dict[str, object]]:
    """What is written in production: a request's line, and the same said through structlog."""
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    secret = SecretStr("a secret of thirty-two bytes or more")
    configure_logging(Settings(_env_file=None, app_env="production", jwt_secret=secret, **more))  # type: ignore[arg-type]
    with structlog.contextvars.bound_contextvars(request_id="a-request"):
        request_line(**FIELDS)
        structlog.get_logger("backdrop.request").info("request", **FIELDS)
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_a_request_s_line_is_what_structlog_would_write(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = lines(monkeypatch)
    assert list(ours) == list(theirs)
    times = [str(each.pop("timestamp")) for each in (ours, theirs)]
    assert ours == theirs
    assert [time[-1] for time in times] == ["Z", "Z"]


def test_a_request_s_line_has_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(monkeypatch, log_level="warning") == []
