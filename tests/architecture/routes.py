"""What the tests of the architecture look at: every call of the service, as a route and as its documentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from backend.core.config import Settings
from backend.main import create_app

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Operation:
    """One call as openapi.json documents it."""

    method: str
    path: str
    doc: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.doc.get("operationId", f"{self.method} {self.path}"))

    @property
    def private(self) -> bool:
        """Whether a signed-in user is needed."""
        return bool(self.doc.get("security")) and {} not in self.doc["security"]

    @property
    def success(self) -> str:
        return next(str(status) for status in self.doc["responses"] if status[0] in "23")

    def takes(self, parameter: str) -> bool:
        return any(each["name"] == parameter for each in self.doc.get("parameters", ()))

    @property
    def body(self) -> dict[str, Any]:
        """The media types that it takes."""
        content: dict[str, Any] = self.doc.get("requestBody", {}).get("content", {})
        return content


@lru_cache
def application() -> FastAPI:
    """The service, not started."""
    return create_app(Settings(_env_file=None))


@lru_cache
def document() -> dict[str, Any]:
    """openapi.json."""
    return application().openapi()


@lru_cache
def operations() -> tuple[Operation, ...]:
    """Every documented call."""
    return tuple(
        Operation(method, path, doc)
        for path, methods in document()["paths"].items()
        for method, doc in methods.items()
        if method in METHODS
    )


def routes() -> Iterator[APIRoute]:
    """Every route, wherever in the tree of routers it hangs."""

    def walk(found: Any) -> Iterator[APIRoute]:
        for route in found:
            if isinstance(route, APIRoute):
                yield route
            elif hasattr(route, "original_router"):
                yield from walk(route.original_router.routes)

    yield from walk(application().router.routes)


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    """What a `$ref` points at, or the value itself."""
    while "$ref" in value:
        found: Any = document()
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def problem_examples(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every documented error of a call, by status."""
    for status, response in operation.doc["responses"].items():
        if not status.startswith(("2", "3")):
            yield status, resolved(response)
