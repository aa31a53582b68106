"""A route cannot exist without its authentication, its errors and its documentation."""

from __future__ import annotations

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from backend.core.problems import MEDIA_TYPE
from backend.dependencies.doors import needs_sign_in
from backend.dependencies.routes import Route
from tests.architecture.routes import Operation, document, operations, problem_examples, resolved, routes

BASE = "/api/v1"
# Calls that anyone may make, and why.
PUBLIC = {
    ("post", f"{BASE}/auth/signup"): "makes the account",
    ("post", f"{BASE}/auth/login"): "gives the token",
    ("post", f"{BASE}/auth/token"): "gives the token to Swagger UI",
    ("post", f"{BASE}/auth/refresh"): "the refresh token in the body is the proof",
    ("post", f"{BASE}/auth/logout"): "the refresh token in the body is the proof",
    ("post", f"{BASE}/auth/forgot-password"): "asked by who cannot sign in",
    ("post", f"{BASE}/auth/reset-password"): "the token from the mail is the proof",
    ("post", f"{BASE}/auth/verify-email"): "the token from the mail is the proof",
    ("get", f"{BASE}/auth/oauth/providers"): "asked by who cannot sign in yet",
    ("get", f"{BASE}/auth/oauth/{{provider}}"): "sends a browser to a provider",
    ("get", f"{BASE}/auth/oauth/{{provider}}/callback"): "state and cookie are the proof",
    ("post", f"{BASE}/auth/oauth/token"): "the code and its verifier are the proof",
    ("get", f"{BASE}/projects/{{project_id}}/script"): "opens by a signed link too; judges by itself",
    ("get", f"{BASE}/verify/{{sha256}}"): "whoever holds a memo may ask whether it was issued",
    ("get", f"{BASE}/meta"): "closed sets, nothing of anybody's",
    ("get", "/healthz"): "asked by load balancers",
    ("get", "/healthz/live"): "asked by supervisors",
}
# Routes outside the contract: the page that shows it.
PAGES = {"/", "/docs"}

each_operation = pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)


def test_every_route_is_in_the_documentation_or_a_page_that_shows_it() -> None:
    documented = {operation.id for operation in operations()}
    for route in routes():
        if not isinstance(route, Route):
            assert route.path in PAGES, f"{route.path} does not judge in our order: give it route_class=Route"
        else:
            assert route.operation_id in documented, f"{route.path} is not in openapi.json"


def test_every_route_asks_for_a_signed_in_user_unless_it_is_public() -> None:
    private = {route.operation_id: needs_sign_in(route.dependant) for route in routes()}
    for operation in operations():
        public = (operation.method, operation.path) in PUBLIC
        assert private[operation.id] is not public, f"{operation.id}: public or private? Say why in PUBLIC"
        assert operation.private is not public, f"{operation.id}: openapi.json says otherwise"


def test_operation_ids_are_unique_and_readable() -> None:
    ids = [operation.id for operation in operations()]
    assert len(set(ids)) == len(ids)
    for each in ids:
        assert re.fullmatch(r"[a-z]+([A-Z][a-z0-9]*)*", each), f"{each} is not readable"
        assert len(each) <= 40


@each_operation
def test_it_is_described(operation: Operation) -> None:
    assert operation.doc.get("summary"), "no summary"
    assert not operation.doc["summary"].endswith("."), "a summary is a headline"
    assert len(operation.doc["summary"]) <= 80
    assert operation.doc.get("description"), "no docstring"
    assert operation.doc.get("tags"), "no tag"
    assert all("description" in tag for tag in document()["tags"])
    assert set(operation.doc["tags"]) <= {tag["name"] for tag in document()["tags"]}, "the tag has no description"


@each_operation
def test_its_errors_are_declared_as_problem_details(operation: Operation) -> None:
    needed = {"422", "503"} if operation.path not in ("/healthz", "/healthz/live") else set()
    needed |= {"401"} if operation.private else set()
    needed |= {"404"} if "{" in operation.path and operation.id != "verifyMemo" else set()
    needed |= {"400", "413", "415"} if operation.body else set()
    needed |= {"412"} if operation.takes("If-Match") else set()
    assert needed <= set(operation.doc["responses"]), f"undeclared: {needed - set(operation.doc['responses'])}"
    for status, response in problem_examples(operation):
        if operation.id == "getHealth":
            continue
        assert set(response["content"]) == {MEDIA_TYPE}, status
        assert response["content"][MEDIA_TYPE]["schema"]["$ref"].endswith("/ProblemOut"), status
        assert response["content"][MEDIA_TYPE]["example"]["status"] == int(status)


@each_operation
def test_its_headers_are_documented(operation: Operation) -> None:
    for response in map(resolved, operation.doc["responses"].values()):
        assert "X-Request-ID" in response["headers"]
    success = operation.doc["responses"][operation.success]["headers"]
    assert ("Link" in success) == operation.takes("cursor")
    assert ("Idempotent-Replayed" in success) == operation.takes("Idempotency-Key")
    if operation.takes("If-Match") and operation.success == "200":
        assert "ETag" in success
    for status in ("429", "503"):
        if status in operation.doc["responses"] and operation.id != "getHealth":
            assert "Retry-After" in resolved(operation.doc["responses"][status])["headers"]


def test_every_post_outside_auth_takes_an_idempotency_key() -> None:
    for operation in operations():
        expected = operation.method == "post" and not operation.path.startswith(f"{BASE}/auth/")
        assert operation.takes("Idempotency-Key") is expected, operation.id


def _must_validate(example: Any, schema: dict[str, Any]) -> None:
    whole = {**schema, "components": document()["components"]}
    Draft202012Validator(whole, format_checker=FormatChecker()).validate(example)


@each_operation
def test_its_examples_are_there_and_validate(operation: Operation) -> None:
    for media in operation.body.values():
        assert "example" in media, "the body has no example"
        _must_validate(media["example"], media["schema"])
    for status, response in operation.doc["responses"].items():
        for kind, media in resolved(response).get("content", {}).items():
            if "json" in kind:
                assert "example" in media, f"{status} has no example"
                _must_validate(media["example"], media["schema"])


@each_operation
def test_its_examples_speak(operation: Operation) -> None:
    """A field that the table of examples does not know is shown as its own name; nobody learns from that."""

    def mute(value: Any, path: str) -> list[str]:
        if isinstance(value, dict):
            return [found for name, each in value.items() for found in mute(each, f"{path}.{name}")]
        if isinstance(value, list):
            return [found for each in value for found in mute(each, path)]
        return [path] if value in ("", path.rsplit(".", 1)[-1]) and not path.endswith((".scope", ".action")) else []

    shown = [media.get("example") for media in operation.body.values()]
    shown += [
        media.get("example")
        for media in operation.doc["responses"][operation.success].get("content", {}).values()
        if "example" in media
    ]
    found = [path for each in shown for path in mute(each, operation.id)]
    assert not found, f"add to backend/schemas/examples.py: {found}"


def test_every_call_names_its_filters_as_closed_sets() -> None:
    """A `status`, `role` or `sort` that takes any string is a filter nobody can guess."""
    closed = {"status", "role", "sort", "modality", "visibility", "type", "awaiting"}
    for operation in operations():
        for parameter in operation.doc.get("parameters", ()):
            if parameter["in"] == "query" and parameter["name"] in closed:
                schema = parameter["schema"]
                kinds = [resolved(each) for each in schema.get("anyOf", [schema])]
                assert any("enum" in kind or "const" in kind for kind in kinds), f"{operation.id}: {parameter['name']}"
