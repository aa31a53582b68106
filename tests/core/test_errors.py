"""The tree of errors: each has its status, its code and a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from backend.core import errors
from backend.core.errors import Invalid, Problem
from backend.core.problems import MEDIA_TYPE, written


def _tree(root: type[Problem]) -> Iterator[type[Problem]]:
    for each in root.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
            yield from _tree(each)


TREE = list(_tree(Problem))


def test_every_status_and_code_is_one_kind() -> None:
    assert len({each.status for each in TREE}) == len(TREE)
    assert len({each.default_code for each in TREE}) == len(TREE)


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_it_is_written_as_problem_details(kind: type[Problem]) -> None:
    status, headers, body = written(kind("A sentence."), "an-id")
    problem = json.loads(body)
    assert status == kind.status == problem["status"]
    assert headers["content-type"] == MEDIA_TYPE
    assert headers["cache-control"] == "no-store"
    assert problem["type"] == f"urn:backdrop:problem:{problem['code']}"
    assert (problem["detail"], problem["requestId"], problem["title"]) == ("A sentence.", "an-id", kind.title)
    assert ("Retry-After" in headers) == (kind is errors.Unavailable)
    assert ("WWW-Authenticate" in headers) == (kind is errors.NotSignedIn)


def test_a_finding_names_its_field() -> None:
    problem = Invalid.field("amount", "is below the floor", code="below_floor")
    assert problem.extra == {"errors": [{"field": "amount", "message": "is below the floor"}]}
    assert problem.code == "below_floor"
