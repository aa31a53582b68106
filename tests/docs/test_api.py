"""docs/api.md tells of calls and codes that there are, and of all of them."""

from __future__ import annotations

import re

from tests.architecture.routes import operations
from tests.factories.server import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text()
BASE = "/api/v1"


ON_THE_COMMAND_LINE = {"demo_in_production", "not_empty"}


def _codes() -> set[str]:
    """Every code that the source raises."""
    texts = [path.read_text() for path in (ROOT / "backend").rglob("*.py")]
    pattern = re.compile(r'(?:default_code = |code=|Refusal\(\s*)"([a-z_]+)"')
    return {code for text in texts for code in pattern.findall(text)} - ON_THE_COMMAND_LINE


def test_every_code_is_explained() -> None:
    told = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert _codes() <= told, f"not told: {sorted(_codes() - told)}"


def test_every_call_of_the_page_is_there() -> None:
    known = {(each.method.upper(), each.path.removeprefix(BASE)) for each in operations()}
    for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`? ]*)", PAGE):
        assert (method, path) in known, f"{method} {path}"


def test_every_call_feeds_a_screen() -> None:
    told = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`? ]*)", PAGE))
    # For Swagger UI, for supervisors, and what a bid carries anyway.
    elsewhere = {("POST", "/auth/token"), ("GET", "/healthz/live"), ("GET", "/bids/{bid_id}/comments")}
    known = {(each.method.upper(), each.path.removeprefix(BASE)) for each in operations()}
    assert known - elsewhere <= told, f"no screen: {sorted(known - elsewhere - told)}"
