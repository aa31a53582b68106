"""The routes of a noun answer as the whole list of routes would."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from backend.dependencies.routes import API, Route, Shelves

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def paths(app: FastAPI) -> set[str]:
    """Every path of the API with a word for each parameter, each a word longer and shorter, and some of nobody."""
    known = {route.path.replace("{", "").replace("}", "") for route in app.router.routes if isinstance(route, Route)}
    around = (
        {path + "/more" for path in known}
        | {path.rpartition("/")[0] for path in known}
        | {f"{path}/" for path in known}
    )
    return known | around | {"/", API, f"{API}/", f"{API}/nothing", f"{API}//slots", "/api/v2/slots", f"{API}slots"}


async def test_shelves_find_what_the_list_finds(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    async def handled(self: Route, scope: Scope, receive: Receive, send: Send) -> None:
        found.append((self, scope["path_params"]))

    async def never(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(Route, "handle", handled)
    shelves = Shelves(app.router)
    answers: dict[tuple[str, str], list[object]] = {}
    for each in (app.router.app, shelves):
        for path in paths(app):
            for method in METHODS:
                found: list[object] = []
                scope = {"type": "http", "path": path, "method": method, "app": app, "headers": [], "query_string": b""}
                try:
                    await each(scope, never, never)
                except HTTPException as error:
                    found.append(error.status_code)
                except AssertionError:
                    found.append("another route")
                assert answers.setdefault((path, method), found) == found, (path, method)
    assert sum(isinstance(each[0], tuple) for each in answers.values()) > 300
