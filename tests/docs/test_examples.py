"""Every example of openapi.json succeeds as printed in the demo.

The demo is made once for a worker, with its people signed in. Calls that only read share one clone of it; every other
call gets one of its own, so that no example leans on another.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import httpx2
import pytest
from pydantic import SecretStr

from backend.core.config import Settings
from backend.main import create_app
from backend.schemas.examples import CALLS
from backend.services import demo
from tests.architecture.routes import Operation, operations, resolved
from tests.conftest import SERVER
from tests.contract import must_keep_contract
from tests.databases import TEMPLATE, on_database

SCRIPT = b"Title: Paper Boats\n\nEXT. COURTYARD - DAY\n\nNINA folds a boat from the page of an atlas.\n"
CATALOGUE = b"title,price,margin,externalId\nPaper atlas,12.50,40,MO-3001\nThermos Nordlicht,44.90,42,MO-1001\n"
FILES = {"importSkus": ("catalogue.csv", CATALOGUE, "text/csv")}

# The demo is offline: these need a provider that is configured (tests/api/test_oauth_google.py).
NEED_A_PROVIDER = {"listProviders", "startSignIn", "comeBack", "takeSignIn"}
TRIED = [operation for operation in operations() if operation.id not in NEED_A_PROVIDER]
READS = [operation for operation in TRIED if operation.method == "get"]
CHANGES = [operation for operation in TRIED if operation.method != "get"]


class Filled(NamedTuple):
    """The demo: a database to clone, its files, and the tokens of its people by address."""

    database: str
    folder: Path
    tokens: dict[str, str]


async def _administer(*statements: str) -> None:
    connection = await asyncpg.connect(os.environ[SERVER])
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _settings(database: str, folder: Path) -> Settings:
    return Settings(
        _env_file=None,
        app_env="test",
        database_url=SecretStr(on_database(os.environ[SERVER], database)),
        data_dir=folder,
        jwt_secret=SecretStr("a secret of thirty-two bytes or more"),
        db_pool_size=4,
    )


@asynccontextmanager
async def _served(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app),
            base_url="http://backdrop.test",
            event_hooks={"response": [must_keep_contract]},
        ) as client,
    ):
        yield client


async def _signed_in(client: httpx2.AsyncClient, person: demo.Person) -> dict[str, str]:
    login = {"email": person.email, "password": demo.PASSWORD}
    answer = await client.post("/api/v1/auth/login", json=login)
    return {person.email: answer.json()["token"]}


@asynccontextmanager
async def _cloned(filled: Filled, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    name = f"{filled.database}_{os.urandom(4).hex()}"
    await _administer(f"CREATE DATABASE {name} TEMPLATE {filled.database}")
    try:
        shutil.copytree(filled.folder, folder, dirs_exist_ok=True)
        async with _served(_settings(name, folder)) as client:
            yield client
    finally:
        await _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def filled(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Filled]:
    """The demo as it is a moment after `serve --demo`: filled, its people signed in."""
    name, folder = f"backdrop_demo_{worker_id}_{os.urandom(4).hex()}", tmp_path_factory.mktemp("demo")
    await _administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    try:
        settings = _settings(name, folder)
        assert await demo.fill(on_database(os.environ[SERVER], name), settings)
        tokens: dict[str, str] = {}
        async with _served(settings) as client:
            for person in demo.PEOPLE:
                tokens |= await _signed_in(client, person)
        yield Filled(name, folder, tokens)
    finally:
        await _administer(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
async def reader(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx2.AsyncClient]:
    """HTTP to the clone that all reads share."""
    async with _cloned(filled, tmp_path_factory.mktemp("reads")) as client:
        yield client


def _body(operation: Operation) -> dict[str, Any]:
    """What to send as the body: the example as it stands; only a file's content is ours."""
    for kind, media in operation.body.items():
        example = media["example"]
        if kind == "application/json":
            return {"json": example}
        if kind == "application/x-www-form-urlencoded":
            return {"data": example}
        assert kind == "multipart/form-data", f"{operation.id} takes {kind}"
        file = FILES.get(operation.id, ("paper-boats.fountain", SCRIPT, "text/plain"))
        assert example["file"] == "(the file)"
        return {
            "files": {"file": file},
            "data": {name: str(value) for name, value in example.items() if name != "file"},
        }
    return {}


async def _send(client: httpx2.AsyncClient, operation: Operation, tokens: dict[str, str]) -> httpx2.Response:
    """The example of a call, exactly as printed, as the account for which it is."""
    path = operation.path
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    for parameter in operation.doc.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
        elif "example" in parameter:
            (query if parameter["in"] == "query" else headers)[parameter["name"]] = str(parameter["example"])
        else:
            assert not parameter.get("required"), f"{operation.id}: {parameter['name']} has no example"
    by = CALLS[operation.id].by if operation.id in CALLS else None
    if by is not None:
        headers["Authorization"] = f"Bearer {tokens[by.email]}"
    return await client.request(operation.method, path, params=query, headers=headers, **_body(operation))


def _must_succeed(operation: Operation, response: httpx2.Response) -> None:
    """`must_keep_contract` has held the body against its schema already."""
    assert response.status_code == int(operation.success), f"{operation.id}: {response.status_code} {response.text}"


@pytest.mark.parametrize("operation", READS, ids=lambda operation: operation.id)
async def test_a_read_succeeds_as_printed(operation: Operation, filled: Filled, reader: httpx2.AsyncClient) -> None:
    response = await _send(reader, operation, filled.tokens)
    _must_succeed(operation, response)
    assert response.content not in (b"", b"[]"), f"{operation.id} shows nothing in the demo"


@pytest.mark.parametrize("operation", CHANGES, ids=lambda operation: operation.id)
async def test_a_change_succeeds_as_printed(operation: Operation, filled: Filled, tmp_path: Path) -> None:
    async with _cloned(filled, tmp_path) as client:
        _must_succeed(operation, await _send(client, operation, filled.tokens))


def test_every_call_is_described_and_says_for_whom_its_example_is() -> None:
    for operation in operations():
        description = operation.doc.get("description", "").strip()
        assert description, f"{operation.id} has no description"
        call = CALLS.get(operation.id)
        assert (call is not None and call.by is not None) == operation.private or operation.id == "downloadScript", (
            f"{operation.id}: say in backend/schemas/examples/calls.py which account of the demo sends its example"
        )
        if call is not None and call.by is not None:
            assert call.by.email in description
            assert description.split("\n")[0].strip() != "", f"{operation.id} says no more than that"


def test_a_forms_fields_show_the_same_example() -> None:
    """Swagger UI fills in a form from the examples of its fields, empty where there is none."""
    for operation in CHANGES:
        for kind, media in operation.body.items():
            if kind != "application/json":
                fields = resolved(media["schema"])["properties"]
                shown = {name: each["example"] for name, each in fields.items() if each.get("example", "") != ""}
                assert shown == {name: each for name, each in media["example"].items() if name != "file" and each != ""}


async def test_a_form_that_leaves_fields_empty_is_taken(filled: Filled, tmp_path: Path) -> None:
    """As Swagger UI sends it."""
    [create] = [operation for operation in CHANGES if operation.id == "createProject"]
    media = create.body["multipart/form-data"]
    blank = {**media, "example": {**dict.fromkeys(resolved(media["schema"])["properties"], ""), **media["example"]}}
    assert blank["example"]["metadata"] == ""
    doc = {**create.doc, "requestBody": {"content": {"multipart/form-data": blank}}}
    async with _cloned(filled, tmp_path) as client:
        _must_succeed(create, await _send(client, Operation(create.method, create.path, doc), filled.tokens))


def test_every_line_of_the_table_is_a_call() -> None:
    known = {operation.id for operation in operations()}
    assert set(CALLS) <= known, sorted(set(CALLS) - known)


async def test_the_whole_page_can_be_tried_from_top_to_bottom(filled: Filled, tmp_path: Path) -> None:
    """One reader, one demo, every change in the order of the page; whose session has ended signs in anew."""
    tokens = dict(filled.tokens)
    async with _cloned(filled, tmp_path) as client:
        for operation in CHANGES:
            response = await _send(client, operation, tokens)
            if response.status_code == 401:
                tokens |= await _signed_in(client, demo.PEOPLE[-1])
                response = await _send(client, operation, tokens)
            _must_succeed(operation, response)


async def test_an_example_that_is_not_true_would_be_noticed(filled: Filled, reader: httpx2.AsyncClient) -> None:
    [get_bid] = [operation for operation in READS if operation.id == "getBid"]
    parameters = [{**each, "example": "0199a3c0-0000-7000-8000-000000000404"} for each in get_bid.doc["parameters"]]
    wrong = Operation(get_bid.method, get_bid.path, {**get_bid.doc, "parameters": parameters[:1]})
    with pytest.raises(AssertionError, match="404"):
        _must_succeed(get_bid, await _send(reader, wrong, filled.tokens))
