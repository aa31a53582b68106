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
from backend.models.users import Role
from backend.schemas.slots import SlotSort
from backend.services import slots
from benchmarks.seed import BID, PROJECT, SESSION, SKU, SLOT, USER, Size, fill, made_id
from tests.conftest import SERVER
from tests.databases import TEMPLATE, on_database
from tests.factories.people import Person

SIZE = Size(int(os.environ.get("PLANS_SLOTS", "20000")))
# The merchant's own SKU; the creator's slot, seen by all.
IDS = {"sku_id": made_id(SKU, 91), "slot_id": made_id(SLOT, 9), "project_id": made_id(PROJECT, 9)}
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
    "/operator/events": ["Operator"],
}
# A status is judged at the moment of asking (overdue counts as ended), so it has no index. An operator, who sees all,
# has the index of the order walked until a page is full; at a small size PostgreSQL rather reads the table.
COMPUTED = {("/bids", "Operator", "status")}
VALUES = {
    "genre": "drama",
    "q": "lot 7123",
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
}
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
        filters += [{name: value} for value in closed[name] or [VALUES[name]]]
    page = {"limit": "50"} if "limit" in parameters else {}
    return [{**each, **page, **({"sort": sort} if sort else {})} for each in filters for sort in sorts]


def scans(plan: dict[str, Any], large: set[str]) -> set[str]:
    """The large tables that a plan reads from end to end."""
    mine = {plan["Relation Name"]} if plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in large else set()
    return mine.union(*(scans(each, large) for each in plan.get("Plans", ())))


@pytest.mark.timeout(600)  # the seed of the first one
@pytest.mark.parametrize(("path", "role"), [(path, role) for path, roles in LISTS.items() for role in roles])
async def test_no_list_reads_a_large_table_from_end_to_end(
    app: FastAPI,
    client: httpx2.AsyncClient,
    settings: Settings,
    sql: asyncpg.Connection[Record],
    asked: list[tuple[str, Sequence[Any]]],
    path: str,
    role: str,
) -> None:
    reader = person(client, settings, role)
    rows = await sql.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples >= $1", LARGE)
    large = {row["relname"] for row in rows}
    assert {"slots", "bids", "terms", "events", "security_events"} <= large
    found = {}
    for query in queries(app, path):
        if any((path, role, name) in COMPUTED for name in query):
            continue
        asked.clear()
        response = await reader.get(path.format(**IDS), params=query)
        assert response.status_code == 200, (query, response.text)
        for statement, arguments in asked:
            plan = json.loads(await sql.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *arguments))[0]["Plan"]
            if read := scans(plan, large):
                found[json.dumps(query)] = read
    assert found == {}


def test_a_scan_would_be_seen() -> None:
    inner = {"Node Type": "Seq Scan", "Relation Name": "slots"}
    assert scans({"Node Type": "Limit", "Plans": [inner]}, {"slots"}) == {"slots"}
    assert scans({"Node Type": "Limit", "Plans": [inner]}, {"bids"}) == set()


@pytest.mark.parametrize(("filters", "parts"), [("q", 1), ("genre", 2), ("", 2), ("visibility", 2)])
def test_a_buyers_list_has_two_parts_unless_words_are_looked_up(filters: str, parts: int) -> None:
    """Decision 123. Only 2,000,000 slots show the plan that walks an order for words, so the form is held here."""
    statement = slots._list(Role.ADVERTISER, frozenset(filters.split()), SlotSort.NEWEST, after=False)
    assert statement.sql.count("UNION ALL") + 1 == parts
