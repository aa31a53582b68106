"""How PostgreSQL finds what is asked for: no documented filter or sort of a list reads a large table from end to end.

Never timed: a plan is the same on a busy machine. `PLANS_SLOTS=200000` tries it at the size of the benchmarks.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import httpx2
import pytest
from asyncpg import Record
from fastapi import FastAPI

from backend.core.config import Settings
from backend.core.database import Db
from backend.core.tokens import Claims, make_access_token
from benchmarks.seed import BID, COMMITMENT, PROJECT, SESSION, SKU, SLOT, USER, Size, fill, made_id
from tests.conftest import SERVER
from tests.databases import TEMPLATE, on_database
from tests.factories.people import Person

SIZE = Size(int(os.environ.get("PLANS_SLOTS", "20000")))
# The merchant's own SKU; the creator's slot, seen by all.
IDS = {
    "sku_id": made_id(SKU, 91),
    "slot_id": made_id(SLOT, 9),
    "project_id": made_id(PROJECT, 9),
    "bid_id": made_id(BID, 1),
    "commitment_id": made_id(COMMITMENT, 1),
    "sha256": "0" * 64,
    "number": 1,
}
LARGE = 10_000  # rows; smaller tables may well be read whole
PEOPLE = {"Creator": SIZE.creator_of(9), "Advertiser": 10, "Merchant": 9, "Operator": 1}
LISTS = {
    "/slots": PEOPLE,
    "/bids": PEOPLE,
    "/commitments": PEOPLE,
    "/commitments/stats": PEOPLE,
    "/projects": PEOPLE,
    "/projects/{project_id}/views": ["Operator"],
    "/skus": ["Merchant"],
    "/skus/{sku_id}/matches": ["Merchant"],
    "/slots/{slot_id}/matches": PEOPLE,
    "/bids/{bid_id}/comments": ["Operator"],
    "/bids/{bid_id}/events": ["Operator"],
    "/buyers": ["Creator", "Operator"],
    "/auth/sessions": PEOPLE,
    "/auth/identities": PEOPLE,
    "/operator/events": ["Operator"],
    "/operator/users": ["Operator"],
}
# The answer holds a line for everything that there is.
WHOLE = {("/commitments/stats", "Operator")}
# Details, by whoever may ask. Of what the seed has none (scenes, memos, drafts) the plan is that of not finding it.
DETAILS = [
    "/slots/{slot_id}",
    "/slots/{slot_id}/invitees",
    "/slots/{slot_id}/excerpt",
    "/bids/{bid_id}",
    "/bids/{bid_id}/terms",
    "/bids/{bid_id}/memo",
    "/bids/{bid_id}/excerpt",
    "/commitments/{commitment_id}",
    "/verify/{sha256}",
    "/projects/{project_id}",
    "/projects/{project_id}/script",
    "/projects/{project_id}/scenes",
    "/projects/{project_id}/slot-suggestions",
    "/projects/{project_id}/drafts",
    "/projects/{project_id}/drafts/{number}/diff",
    "/skus/{sku_id}",
    "/auth/me",
]
# 404 or 409 on the seed.
ABSENT = {"/bids/{bid_id}/excerpt", "/projects/{project_id}/script", "/projects/{project_id}/drafts/{number}/diff"}
# These count or judge everything, for operators, or ask no large table at all.
UNPLANNED = [
    "/operator/overview",
    "/operator/invariants",
    "/auth/oauth/providers",
    "/auth/oauth/{provider}",
    "/auth/oauth/{provider}/callback",
    "/meta",
]
VALUES = {
    "genre": "drama",
    "minPrice": "1100",
    "maxPrice": "1300",
    "projectId": str(made_id(PROJECT, 9)),
    "slotId": str(made_id(SLOT, 9)),
    "sceneId": str(made_id(PROJECT, 9)),  # the seed has no scenes: any id
    "subjectId": str(made_id(BID, 9)),
    "actorId": str(made_id(USER, 10)),
    "since": "2026-01-01T00:00:00Z",
    "until": "2026-12-01T00:00:00Z",
    "action": "bid.approved",
    "client": f"{7:016x}",
    "requestId": "request-7",
    "failing": "true",
    "isActive": "false",
}
# Words that few slots say, many, many each but none together, and titles alone.
WORDS = ["lot 7123", "coffee", "coffee watch", "drama"]
# Refusals of a busy day, which the seed of the benchmarks has none of.
SEEN = """
    INSERT INTO security_events (id, at, actor_id, actor_role, action, subject_type, subject_id, client, tally, count,
        data, request_id)
    SELECT gen_random_uuid(), now() - n * interval '4 seconds', bench_id(1, n % 500), 'Advertiser', 'access.refused',
        'user', bench_id(1, n % 500), lpad(to_hex(n % 900), 16, '0'), sha256(int4send(n)), 1, '{}', 'request-' || n
    FROM generate_series(1, 20000) AS n;
    ANALYZE security_events
"""


@pytest.fixture(scope="module")
async def dsn(worker_id: str) -> AsyncIterator[str]:
    """A database with the stated data, for all tests of this module."""
    server, name = os.environ[SERVER], f"backdrop_plans_{worker_id}"
    admin = await asyncpg.connect(server)
    try:
        if not await admin.fetchval("SELECT usesuper FROM pg_user WHERE usename = current_user"):
            pytest.skip("the seed switches triggers off, which takes a superuser")
        await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        await fill(on_database(server, name), SIZE, "nobody signs in")
        seeded = await asyncpg.connect(on_database(server, name))
        await seeded.execute(SEEN)
        await seeded.close()
        yield on_database(server, name)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


@pytest.fixture
def asked() -> Iterator[list[tuple[str, Sequence[Any]]]]:
    """Every statement that the service runs, with its arguments."""
    seen: list[tuple[str, Sequence[Any]]] = []
    fetch = Db.fetch

    async def noted(self: Db, sql: str, arguments: Sequence[Any] = ()) -> list[Record]:
        seen.append((sql, arguments))
        return await fetch(self, sql, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Db, "fetch", noted)
        yield seen


def person(client: httpx2.AsyncClient, settings: Settings, role: str) -> Person:
    """A seeded user of this role, signed in."""
    assert settings.jwt_secret is not None
    number = PEOPLE[role]
    claims = Claims(made_id(USER, number), made_id(SESSION, number))
    secret = settings.jwt_secret.get_secret_value()
    return Person(client, make_access_token(claims, secret, datetime.now(UTC), 3600))


def _choices(schema: dict[str, Any], schemas: dict[str, Any]) -> list[str]:
    """The values of a closed set, as documented."""
    options = [schema, *schema.get("anyOf", ())]
    resolved = [schemas[each["$ref"].rsplit("/", 1)[-1]] if "$ref" in each else each for each in options]
    return [value for each in resolved for value in each.get("enum", [each["const"]] if "const" in each else [])]


def queries(app: FastAPI, path: str) -> list[dict[str, str]]:
    """Every documented filter alone, in every documented order, on the first page."""
    document = app.openapi()
    parameters = {
        each["name"]: each["schema"]
        for each in document["paths"][f"/api/v1{path}"]["get"].get("parameters", ())
        if each["in"] == "query"
    }
    closed = {name: _choices(schema, document["components"]["schemas"]) for name, schema in parameters.items()}
    sorts = closed.pop("sort", []) or [""]
    filters: list[dict[str, str]] = [{}]
    for name in parameters.keys() - {"sort", "limit", "cursor"}:
        filters += [{name: value} for value in closed[name] or (WORDS if name == "q" else [VALUES[name]])]
    page = {"limit": "50"} if "limit" in parameters else {}
    return [{**each, **page, **({"sort": sort} if sort else {})} for each in filters for sort in sorts]


def scans(plan: dict[str, Any], large: set[str]) -> set[str]:
    """The large tables that a plan reads from end to end."""
    mine = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in large else set()
    return mine.union(*(scans(each, large) for each in plan.get("Plans", ())))


@pytest.fixture
async def large(sql: asyncpg.Connection[Record]) -> set[str]:
    """The tables of many rows."""
    await sql.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    rows = await sql.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= $1", LARGE)
    assert {"slots", "bids", "terms", "events", "security_events"} <= {row["relname"] for row in rows}
    return {row["relname"] for row in rows}


async def read_whole(
    sql: asyncpg.Connection[Record], asked: list[tuple[str, Sequence[Any]]], large: set[str]
) -> set[str]:
    """The large tables that these statements read from end to end."""
    plans = [json.loads(await sql.fetchval(f"EXPLAIN (FORMAT JSON) {text}", *values)) for text, values in asked]
    return set[str]().union(*(scans(plan["Plan"], large) for [plan] in plans))


@pytest.mark.timeout(600)  # the seed of the first one
@pytest.mark.parametrize(
    ("path", "role"), [(path, role) for path, roles in LISTS.items() for role in roles if (path, role) not in WHOLE]
)
async def test_no_list_reads_a_large_table_from_end_to_end(
    app: FastAPI,
    client: httpx2.AsyncClient,
    settings: Settings,
    sql: asyncpg.Connection[Record],
    asked: list[tuple[str, Sequence[Any]]],
    large: set[str],
    path: str,
    role: str,
) -> None:
    reader = person(client, settings, role)
    found = {}
    for query in queries(app, path):
        asked.clear()
        response = await reader.get(path.format(**IDS), params=query)
        assert response.status_code == 200, (query, response.text)
        if read := await read_whole(sql, asked, large):
            found[json.dumps(query)] = read
    assert found == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", DETAILS)
async def test_no_detail_reads_a_large_table_from_end_to_end(
    client: httpx2.AsyncClient,
    settings: Settings,
    sql: asyncpg.Connection[Record],
    asked: list[tuple[str, Sequence[Any]]],
    large: set[str],
    path: str,
) -> None:
    answers = []
    for role in PEOPLE:
        asked.clear()
        response = await person(client, settings, role).get(path.format(**IDS))
        answers.append(response.status_code)
        assert await read_whole(sql, asked, large) == set(), role
    assert set(answers) <= {200, 403, 404, 409, 422}
    assert (200 in answers) is (path not in ABSENT), answers


async def test_every_read_has_its_plans_looked_at(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    reads = {path.removeprefix("/api/v1") for path, calls in paths.items() if "get" in calls and "/api/" in path}
    assert reads == {*LISTS, *DETAILS, *UNPLANNED}


def test_a_scan_would_be_seen() -> None:
    inner = {"Node Type": "Seq Scan", "Relation Name": "slots"}
    assert scans({"Node Type": "Limit", "Plans": [inner]}, {"slots"}) == {"slots"}
    assert scans({"Node Type": "Limit", "Plans": [inner]}, {"bids"}) == set()
