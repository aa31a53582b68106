"""What holds for every call, whatever it is about; new calls are tried without a line here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import quote

import asyncpg
import pytest

from tests.architecture.routes import Operation, operations, resolved
from tests.contract import check
from tests.factories.people import API, Person
from tests.factories.refusals import refused
from tests.factories.world import PASSWORD, World, ok

Sql: TypeAlias = "asyncpg.Connection[Any]"

BASE = "/api/v1"
MISSING = "0199a3c0-0000-7000-8000-00000000dead"
OURS = [each for each in operations() if each.path.startswith(BASE)]


# What changes something by each call that takes If-Match.
CHANGES: dict[str, dict[str, Any]] = {
    "changeSlot": {"pricingFloor": 1200},
    "changeProject": {"logline": "another text"},
    "changeSku": {"description": "another text"},
    "changeMe": {"name": "Another Name"},
    "setInvitees": {"userIds": []},
    "setUserActive": {"isActive": True},
}
READ = {each.path for each in OURS if each.method == "get"}


def of(found: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", found, ids=lambda each: each.id)


JSON = {"Content-Type": "application/json"}


@dataclass
class Stage:
    """A deal under way, with everyone who may look at it."""

    people: dict[str, Person]
    ids: dict[str, str]

    def path(self, operation: Operation, **instead: str) -> str:
        """The path of a call with real ids."""
        return operation.path.removeprefix(BASE).format(**{**self.ids, **instead})

    async def answers(self, operation: Operation, **more: Any) -> list[tuple[str, Any]]:
        """The same call by everyone."""
        path = self.path(operation)
        return [
            (name, await person.call(operation.method.upper(), path, **more)) for name, person in self.people.items()
        ]


@pytest.fixture
async def stage(world: World) -> Stage:
    cleo, mo, olga = await world.creator(), await world.merchant(), await world.operator()
    project = await world.project(cleo)
    slot, sku = await world.slot(cleo, project), await world.sku(mo)
    commitment = await world.committed(cleo, mo, await world.slot(cleo, project))
    bid = await world.bid(mo, slot, skuIds=[sku["id"]])
    ids = {
        "project_id": project["id"],
        "slot_id": slot["id"],
        "sku_id": sku["id"],
        "bid_id": bid["id"],
        "commitment_id": commitment["id"],
        "user_id": mo.id,
        "number": "2",
        "session_id": MISSING,
        "identity_id": MISSING,
        "provider": "google",
        "sha256": "a" * 64,
    }
    return Stage({"creator": cleo, "merchant": mo, "operator": olga}, ids)


@of([each for each in OURS if each.private])
async def test_nobody_gets_past_a_private_call(world: World, operation: Operation) -> None:
    path = operation.path.removeprefix(BASE).replace("{", "").replace("}", "")
    for headers in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}, {"Authorization": ""}):
        for content in (b"", b"{", b"{}"):
            answer = await world.nobody.call(operation.method.upper(), path, content=content, headers=headers)
            refused(answer, 401)
            check(operation, 401, "application/problem+json", answer.content)


@of([each for each in OURS if "{" in each.path and each.id != "verifyMemo"])
async def test_what_is_not_there_is_a_404_for_everyone(stage: Stage, operation: Operation) -> None:
    """An id that is none and an id of nothing give the very same answer."""
    name = operation.path.split("{")[1].split("}")[0]
    example = next((media["example"] for media in operation.body.values()), None)
    sent = {"json": example} if "application/json" in operation.body else {}
    if "multipart/form-data" in operation.body:
        sent = {"files": {"file": ("a.fountain", b"INT. TRAIN")}}
    for person in stage.people.values():
        answers = []
        for odd in ("not-an-id", MISSING, "%00", "1' OR '1'='1"):
            answer = await person.call(operation.method.upper(), stage.path(operation, **{name: odd}), **sent)
            answers.append({**refused(answer, 404, "not_found"), "requestId": None})
        assert all(each == answers[0] for each in answers)


@of([each for each in OURS if each.method == "get"])
async def test_reads_keep_the_contract_and_answer_head(stage: Stage, operation: Operation) -> None:
    for name, answer in await stage.answers(operation):
        kind = answer.headers["content-type"].split(";")[0]
        check(operation, answer.status_code, kind, answer.content)
        if answer.status_code == 200:
            documented = set(operation.doc["responses"]["200"]["headers"])
            assert ("etag" in answer.headers) or "ETag" not in documented, f"{name}: no ETag, though documented"
            assert answer.headers["cache-control"].endswith("no-store") or operation.path.endswith("healthz"), name
    for _, answer in await stage.answers(Operation("head", operation.path, operation.doc)):
        assert not answer.content
        assert answer.status_code < 500


@of([each for each in OURS if each.method == "get" and each.doc.get("parameters")])
async def test_no_query_is_a_failure(stage: Stage, operation: Operation) -> None:
    odd = [
        "",
        " ",
        "%00",
        "%ED%A0%80",
        "x" * 5000,
        "-1",
        "0",
        "9" * 50,
        "1e400",
        "NaN",
        "null",
        "%",
        "_",
        "\\",
        "'--",
        "🎬",
    ]
    for parameter in operation.doc["parameters"]:
        if parameter["in"] == "query":
            for value in odd:
                path = f"{stage.path(operation)}?{parameter['name']}={value}&{parameter['name']}=2"
                for person in stage.people.values():
                    answer = await person.call("GET", path)
                    assert answer.status_code < 500, f"{path}: {answer.text}"
                    if answer.status_code != 200:
                        check(operation, answer.status_code, "application/problem+json", answer.content)


NASTY = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "-0", "-1", "0", "0.001", "9223372036854775808", "9" * 5000,
    "1e-400", '""', '" "', '"\\u0000"', '"\\ud800"', '"\\u202e\\ufeff"', '"' + "x" * 5000 + '"',
    '"2026-13-45T99:99:99Z"',
    '"0001-01-01T00:00:00+23:59"', f'"{MISSING}"', '"javascript:alert(1)"', "true", "null", "[]", "{}",
    "[" * 900 + "]" * 900,
    "[null]", '["x", "x"]', "[" + ",".join(['"x"'] * 2000) + "]", '{"a": 1}', '{"a": 1, "a": 2}',
]  # fmt: skip


NASTY_TEXTS = [
    "NaN", "1e400", "-0", "9" * 5000, "9223372036854775808", "\x00", "\ufeff", "\u202e", " ", "'--", "../../etc/passwd",
    "[" * 1000, '{"a": 1, "a": 2}', "x" * 5000, "\r\nSet-Cookie: a=b",
]  # fmt: skip
# What signing in writes down by itself, and what a refusal may: the record, and how often there were tries.
_ASIDE = ("events", "security_events", "rate_limits", "alembic_version")


async def written(sql: Sql) -> list[Any]:
    """How many rows each table has, and its newest transaction: whatever is inserted, changed or deleted changes it."""
    tables = await sql.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    names = [each["tablename"] for each in tables if each["tablename"] not in _ASIDE]
    lines = [f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in names]
    return await sql.fetch(" UNION ALL ".join(lines) + " ORDER BY 1")


def _fields(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field of a body, nested ones too."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield (*path, name)
            yield from _fields(each, (*path, name))


def _with(body: Any, path: tuple[str, ...], raw: str) -> str:
    """The body as JSON with one field replaced by raw text."""
    copy = json.loads(json.dumps(body))
    inner = copy
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = "@@@"
    return json.dumps(copy).replace('"@@@"', raw)


def _tries(operation: Operation) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Every field of a call's body, those that the example leaves out too, each with the body it stands in."""
    media = operation.body["application/json"]
    example = media["example"]
    yield from ((example, field) for field in _fields(example))
    schema = resolved(next((each for each in media["schema"].get("anyOf", ()) if "$ref" in each), media["schema"]))
    for name in set(schema.get("properties", {})) - set(example):
        yield {**example, name: None}, (name,)


async def _caller(stage: Stage, operation: Operation, nobody: Person) -> Person:
    """Someone whom this call does not turn away at the door."""
    if not operation.private:
        return nobody
    example = operation.body["application/json"]["example"]
    for person in stage.people.values():
        answer = await person.call(operation.method.upper(), stage.path(operation), json={**example, "unknown": 1})
        if answer.status_code not in (401, 403, 404):
            return person
    return stage.people["creator"]


def _must_be_sound(operation: Operation, answer: Any, sent: str) -> None:
    assert answer.status_code < 500, f"{operation.id} {sent[:200]}: {answer.text}"
    kind = answer.headers.get("content-type", "").split(";")[0]
    check(operation, answer.status_code, kind, answer.content)


@of([each for each in OURS if "application/json" in each.body])
async def test_no_value_of_any_field_is_a_failure(stage: Stage, world: World, sql: Sql, operation: Operation) -> None:
    """Nasty values in every field of every body (S14): an answer below 500, declared, and nothing written."""
    path = stage.path(operation)
    person = await _caller(stage, operation, world.nobody)
    headers = {"content-type": "application/json"}
    before = await written(sql)
    for body, field in _tries(operation):
        for raw in NASTY:
            content = _with(body, field, raw)
            answer = await person.call(operation.method.upper(), path, content=content.encode(), headers=headers)
            _must_be_sound(operation, answer, content)
            if answer.is_success:  # an odd value may be a good one
                before = await written(sql)
        assert await written(sql) == before, f"{operation.id}: a refused {field} was written"


@of([each for each in OURS if "multipart/form-data" in each.body])
async def test_no_value_of_any_part_is_a_failure(stage: Stage, sql: Sql, operation: Operation) -> None:
    """The same for every part of every form, as text and as a file, and for parts that nobody knows."""
    media = operation.body["multipart/form-data"]
    person = stage.people["merchant" if operation.id == "importSkus" else "creator"]
    path, file = stage.path(operation), ("a.fountain", b"INT. TRAIN")
    good = {name: str(value) for name, value in media["example"].items() if name != "file"}
    before = await written(sql)
    for name in [*resolved(media["schema"])["properties"], "unknown", "__proto__"]:
        for raw in NASTY_TEXTS:
            parts = (
                {"data": {**good, name: raw}, "files": {"file": file}} if name != "file" else {"data": {"file": raw}}
            )
            for sent in (parts, {"data": good, "files": {"file": file, name: (raw[:20], raw.encode())}}):
                answer = await person.call(operation.method.upper(), path, **sent)
                _must_be_sound(operation, answer, f"{name}: {raw[:50]}")
                if answer.is_success:
                    before = await written(sql)
        assert await written(sql) == before, f"{operation.id}: a refused {name} was written"


@of([each for each in OURS if each.doc.get("parameters") and each.method != "get"])
async def test_no_header_or_path_of_a_change_is_a_failure(stage: Stage, sql: Sql, operation: Operation) -> None:
    example = next((media["example"] for media in operation.body.values()), None)
    sent = {"json": example} if "application/json" in operation.body else {}
    before = await written(sql)
    for parameter in operation.doc["parameters"]:
        for raw in NASTY_TEXTS:
            path, headers = stage.path(operation), {}
            if parameter["in"] == "path":
                path = stage.path(operation, **{parameter["name"]: quote(raw[:1000], safe="")})
            elif parameter["in"] == "header":
                headers = {parameter["name"]: raw.encode("utf-8", "replace").replace(b"\x00", b"%00")}
            else:
                path += f"?{parameter['name']}={quote(raw[:1000], safe='')}"
            answer = await stage.people["merchant"].call(operation.method.upper(), path, headers=headers, **sent)
            _must_be_sound(operation, answer, f"{parameter['name']}: {raw[:50]}")
            if answer.is_success:
                before = await written(sql)
    assert await written(sql) == before, f"{operation.id}: a refused request was written"


@of([each for each in OURS if "application/json" in each.body])
async def test_a_body_that_is_no_object_or_has_an_unknown_field_is_refused(
    stage: Stage, world: World, operation: Operation
) -> None:
    headers = {"content-type": "application/json"}
    person = stage.people["operator"] if operation.private else world.nobody
    example = operation.body["application/json"]["example"]
    bodies = [b"[]", b'"x"', b"1", json.dumps({**example, "isOperator": True}).encode()]
    for content in bodies:
        answer = await person.call(operation.method.upper(), stage.path(operation), content=content, headers=headers)
        refused(answer, 422)
    for content in (b"{", b"{'a': 1}", b"\xff", b"[" * 100_000):
        answer = await person.call(operation.method.upper(), stage.path(operation), content=content, headers=headers)
        refused(answer, 400, "malformed_json")
    odd = await person.call(
        operation.method.upper(), stage.path(operation), content=b"x", headers={"content-type": "a/b"}
    )
    refused(odd, 415)


def _wants_a_body(operation: Operation) -> bool:
    return bool(operation.doc.get("requestBody", {}).get("required"))


@of([each for each in OURS if each.method == "post" and each.private and not _wants_a_body(each)])
async def test_an_action_without_a_body_accepts_none_or_an_empty_object(stage: Stage, operation: Operation) -> None:
    """Whatever is answered to it, it is not about the body."""
    for content, headers in ((b"", {}), (b"", JSON), (b"{}", JSON)):
        for name, answer in await stage.answers(operation, content=content, headers=headers):
            _must_be_sound(operation, answer, content.decode())
            about = [each["field"] for each in answer.json().get("errors", [])] if answer.status_code == 422 else []
            assert answer.status_code not in (400, 415), f"{name}: {answer.text}"
            assert set(about) <= {"onBehalfOf"}, f"{name}: an operator names a side, nothing else is missing"


@of([each for each in OURS if each.takes("If-Match") and each.method != "delete"])
async def test_a_stale_version_is_refused_and_changes_nothing(
    stage: Stage, sql: asyncpg.Connection[Any], operation: Operation
) -> None:
    sent: dict[str, Any] = {"json": CHANGES.get(operation.id, {})} if "application/json" in operation.body else {}
    if "multipart/form-data" in operation.body:
        sent = {"files": {"file": ("a.fountain", b"INT. TRAIN")}}
    statuses = set()
    for tag in ('"stale"', 'W/"stale"', "nonsense", '"a", "b"', ""):
        before = await _rows(sql)
        for _, answer in await stage.answers(operation, headers={"If-Match": tag}, **sent):
            _must_be_sound(operation, answer, tag)
            assert answer.status_code >= 400, f"{operation.id} took the version {tag}"
            statuses.add(answer.status_code)
        assert await _rows(sql) == before
    assert 412 in statuses


@of([each for each in OURS if each.takes("If-Match") and each.method == "patch" and each.path in READ])
async def test_the_current_version_is_taken_once(stage: Stage, operation: Operation) -> None:
    path = stage.path(operation)
    fresh = {}
    for name, person in stage.people.items():
        read = await person.get(path)
        if read.status_code == 200 and "etag" in read.headers:
            fresh[name] = read.headers["etag"]
    assert fresh, "a thing that can be patched carries an ETag"
    taken = 0
    for name, tag in fresh.items():
        person = stage.people[name]
        body = CHANGES[operation.id]
        first = await person.patch(path, body, headers={"If-Match": tag})
        if first.status_code == 200:
            taken += 1
            assert first.headers["etag"], "the answer carries the new version"
            if first.headers["etag"] != tag:
                refused(await person.patch(path, body, headers={"If-Match": tag}), 412, "stale_version")
            ok(await person.patch(path, body, headers={"If-Match": first.headers["etag"]}))
    assert taken


async def _rows(sql: asyncpg.Connection[Any]) -> list[Any]:
    """Everything that a user's change could touch."""
    tables = ("users", "projects", "drafts", "slots", "slot_invitees", "skus", "bids", "terms", "commitments", "events")
    return [await sql.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


@of([each for each in OURS if each.takes("Idempotency-Key")])
async def test_an_odd_idempotency_key_is_refused(stage: Stage, operation: Operation) -> None:
    example = next((media["example"] for media in operation.body.values()), None)
    sent = {"json": example} if "application/json" in operation.body else {}
    for key in ("", "x" * 256, "é".encode(), b"\xff", "a\tb"):
        for _, answer in await stage.answers(operation, headers={"Idempotency-Key": key}, **sent):
            _must_be_sound(operation, answer, str(key))
            assert answer.status_code >= 400


async def test_every_answer_carries_its_request_id(stage: Stage, world: World) -> None:
    cleo = stage.people["creator"]
    for answer in (
        await cleo.get("/slots"),
        await cleo.get("/nothing"),
        await world.nobody.get("/slots"),
        await world.nobody.post("/auth/login", {"email": "x", "password": PASSWORD}),
        await world.nobody.put("/slots"),
    ):
        assert len(answer.headers["x-request-id"]) >= 8
        if answer.status_code >= 400:
            assert answer.json()["requestId"] == answer.headers["x-request-id"]
    assert (await cleo.get("/slots", headers={"X-Request-ID": "my-own-id.1"})).headers["x-request-id"] == "my-own-id.1"
    for odd in ("short", "x" * 65, "with blank in it", 'with"quote--', "line\tbreak", "12345678\x7f"):
        assert (await cleo.get("/slots", headers={"X-Request-ID": odd})).headers["x-request-id"] != odd


async def test_other_origins_are_answered_only_when_they_are_named(world: World) -> None:
    client = world.client
    known, unknown = {"Origin": "http://localhost:5173"}, {"Origin": "https://evil.example"}
    ask = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}
    preflight = await client.options(f"{API}/skus/{MISSING}", headers={**known, **ask})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == known["Origin"]
    assert "if-match" in preflight.headers["access-control-allow-headers"].lower()
    assert (await client.options(f"{API}/skus/{MISSING}", headers={**unknown, **ask})).status_code == 400
    answer = await client.get(f"{API}/meta", headers=known)
    exposed = answer.headers["access-control-expose-headers"].lower()
    for header in ("etag", "link", "idempotent-replayed", "x-request-id", "retry-after"):
        assert header in exposed
    assert "access-control-allow-origin" not in (await client.get(f"{API}/meta", headers=unknown)).headers
    assert "access-control-allow-credentials" not in answer.headers
    refusal = await client.get(f"{API}/bids", headers=known)
    assert refusal.status_code == 401
    assert refusal.headers["access-control-allow-origin"] == known["Origin"]
