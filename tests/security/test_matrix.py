"""Who may call what (S1): every operation by every kind of caller. A call that this table does not know fails."""

from __future__ import annotations

from typing import Any, TypeAlias

import asyncpg
import httpx2
import pytest

from backend.core.config import Settings
from tests.architecture.routes import Operation, operations, resolved
from tests.factories.refusals import refused
from tests.factories.world import World, ok
from tests.security.stage import CALLERS, Stage, staged

# One letter a caller, in the order of CALLERS: + let in, 1 = 401, 3 = 403, 4 = 404; . = judged by what the body proves.
MATRIX: dict[str, str] = {
    # service: anyone
    "getHealth": "++++++++++",
    "getLiveness": "++++++++++",
    "getMeta": "++++++++++",
    # judged by what the body proves
    "signUp": "..........",
    "logIn": "..........",
    "getToken": "..........",
    "refreshSession": "..........",
    "logOut": "..........",
    "forgotPassword": "..........",
    "resetPassword": "..........",
    "verifyEmail": "..........",
    "listProviders": "++++++++++",
    "startSignIn": "..........",
    "comeBack": "..........",
    "takeSignIn": "..........",
    # one's own
    "changePassword": "111+++++++",
    "resendVerification": "111+++++++",
    "getMe": "111+++++++",
    "changeMe": "111+++++++",
    "deleteMe": "111+++++++",
    "listSessions": "111+++++++",
    "endSession": "11144+4444",
    "listIdentities": "111+++++++",
    "unlinkIdentity": "11144+4444",
    "listBuyers": "111++3333+",
    # projects
    "listProjects": "111+++++++",
    "createProject": "111++33333",
    "getProject": "111+4++44+",
    "changeProject": "111+433443",
    "deleteProject": "111+433443",
    "downloadScript": "111+43344+",
    "replaceScript": "111+433443",
    "listScenes": "111+43344+",
    "listSlotSuggestions": "111+43344+",
    "takeSuggestions": "111+433443",
    "listDrafts": "111+43344+",
    "compareDrafts": "111+43344+",
    "listViews": "111+43344+",
    # slots
    "createSlot": "111++33333",
    "listSlots": "111+++++++",
    "getSlot": "111+4++44+",
    "getSlotExcerpt": "111+4++44+",
    "changeSlot": "111+433443",
    "deleteSlot": "111+433443",
    "getInvitees": "111+433443",
    "setInvitees": "111+433443",
    # SKUs
    "createSku": "11133333+3",
    "listSkus": "11133333+3",
    "getSku": "11144444+4",
    "changeSku": "11144444+4",
    "deleteSku": "11144444+4",
    "importSkus": "11133333+3",
    # matches
    "matchSlots": "11144444+4",
    "matchSkus": "111+4++44+",
    # deals
    "placeBid": "11134++443",
    "listBids": "111+++++++",
    "getBid": "111+4+444+",
    "listTerms": "111+4+444+",
    "changeTerms": "111+4+4443",
    "approveBid": "111+4+4443",
    "declineBid": "111+43444+",
    "withdrawBid": "11134+444+",
    "commitBid": "11134+4443",
    "listComments": "111+4+444+",
    "addComment": "111+4+444+",
    "listBidEvents": "111+4+444+",
    "getMemo": "111+4+444+",
    "getExcerpt": "111+4+444+",
    "verifyMemo": "++++++++++",
    # commitments
    "getStats": "111+++++++",
    "listCommitments": "111+++++++",
    "getCommitment": "111+4+444+",
    "deliver": "111+43444+",
    "confirmDelivery": "11134+444+",
    "rejectDelivery": "11134+444+",
    "cancelCommitment": "111+4+444+",
    # operators
    "getOverview": "111333333+",
    "listEvents": "111333333+",
    "checkInvariants": "111333333+",
    "listUsers": "111333333+",
    "setUserActive": "111444444+",
}
MISSING = "0199a3c0-0000-7000-8000-00000000dead"
STATUS = {"1": 401, "3": 403, "4": 404}
KNOWN = [each for each in operations() if each.id in MATRIX]
CHANGES = [each for each in KNOWN if each.method != "get" and "+" in MATRIX[each.id]]
Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def stage(world: World, settings: Settings) -> Stage:
    assert settings.jwt_secret
    return await staged(world, settings.jwt_secret.get_secret_value())


def callers(operation: Operation, letters: str) -> list[str]:
    return [caller for caller, letter in zip(CALLERS, MATRIX[operation.id], strict=True) if letter in letters]


async def everything(sql: Sql) -> dict[str, str]:
    """A digest of every table, less the buckets of rate limits."""
    tables = await sql.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    names = [row[0] for row in tables if row[0] != "rate_limits"]
    return {
        name: await sql.fetchval(f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t")
        for name in names
    }


def test_the_table_knows_every_call_and_no_other() -> None:
    assert set(MATRIX) == {each.id for each in operations()}
    assert all(len(row) == len(CALLERS) for row in MATRIX.values())


def test_every_call_that_asks_for_a_token_refuses_who_has_none() -> None:
    for operation in KNOWN:
        by_link = operation.id == "downloadScript"  # also opens by a signed link
        assert (MATRIX[operation.id][:3] == "111") == (operation.private or by_link), operation.id


async def test_who_may_not_is_refused_and_nothing_changes(stage: Stage, sql: Sql) -> None:
    before = await everything(sql)
    for operation in KNOWN:
        for caller in callers(operation, "134"):
            response = await stage.call(caller, operation)
            wanted = STATUS[MATRIX[operation.id][CALLERS.index(caller)]]
            assert response.status_code == wanted, f"{operation.id} as {caller}: {response.text}"
            refused(response, wanted)
    assert await everything(sql) == before


async def test_what_one_may_not_see_is_answered_as_if_it_were_not_there(stage: Stage) -> None:
    real = dict(stage.ids)
    for operation in KNOWN:
        for caller in callers(operation, "4"):
            hidden = await stage.call(caller, operation)
            stage.ids = dict.fromkeys(real, MISSING)
            missing = await stage.call(caller, operation)
            stage.ids = real
            assert _alike(hidden) == _alike(missing), f"{operation.id} as {caller}"


def _alike(response: httpx2.Response) -> tuple[int, dict[str, Any], list[str]]:
    """A refusal less its request id: body and names of headers."""
    return response.status_code, {**response.json(), "requestId": None}, sorted(response.headers)


async def test_an_id_of_another_kind_is_not_there(stage: Stage) -> None:
    """For the one who owns everything else: a bid's id is no slot's, a slot's no project's."""
    real = dict(stage.ids)
    kinds = [each for each in real if each != "sha256"]  # a digest that is not known is an answer
    for operation in KNOWN:
        for kind in [each for each in kinds if f"{{{each}}}" in operation.path]:
            caller = callers(operation, "+.")[0]
            stage.ids = {**real, kind: real[kinds[kinds.index(kind) - 1]]}
            refused(await stage.call(caller, operation), 404)
            stage.ids = real


async def test_who_may_read_is_let_in(stage: Stage) -> None:
    for operation in KNOWN:
        if operation.method == "get":
            for caller in callers(operation, "+"):
                response = await stage.call(caller, operation)
                assert response.status_code in (200, 409), f"{operation.id} as {caller}: {response.text}"


@pytest.mark.parametrize("operation", CHANGES, ids=lambda each: each.id)
async def test_who_may_change_is_let_in(stage: Stage, operation: Operation) -> None:
    """Let in, not necessarily granted: the state may forbid what another has just done."""
    statuses = {}
    for caller in callers(operation, "+"):
        response = await stage.call(caller, operation)
        statuses[caller] = response.status_code
        assert response.status_code not in (401, 403, 404, 429), f"as {caller}: {response.text}"
        assert response.status_code < 500, response.text
    assert operation.id in NEVER_GRANTED or any(each < 300 for each in statuses.values()), statuses


# What this stage's state forbids to everyone.
NEVER_GRANTED = {
    "takeSuggestions",
    "deleteProject",
    "changeSlot",
    "placeBid",
    "commitBid",
    "confirmDelivery",
    "rejectDelivery",
}


@pytest.mark.parametrize("caller", CALLERS)
async def test_what_a_body_proves_does_not_depend_on_the_token(stage: Stage, caller: str) -> None:
    for operation in KNOWN:
        if "." in MATRIX[operation.id]:
            response = await stage.call(caller, operation)
            # 404: no provider is configured here.
            assert response.status_code in (200, 201, 202, 204, 401, 404, 409, 422), f"{operation.id}: {response.text}"


# Ids inside bodies and filters.


async def test_foreign_ids_in_bodies_are_refused_like_missing_ones(stage: Stage, world: World, sql: Sql) -> None:
    people = stage.people
    sku = await world.sku(await world.merchant())
    before = await everything(sql)
    for theirs in (stage.ids["project_id"], MISSING):
        body = {**stage.bodies["createSlot"], "projectId": theirs}
        refused(await people["creator"].post("/slots", body), 422, "unknown_project", "projectId")
    told = []
    for theirs in (sku["id"], MISSING):
        body = {"baseVersion": 1, "skuIds": [theirs]}
        told.append(refused(await people["buyer"].post(f"/bids/{stage.ids['bid_id']}/terms", body), 422))
    assert {**told[0], "requestId": ""} == {**told[1], "requestId": ""}
    told = []
    for theirs in (people["creator"].id, people["operator"].id, people["disabled"].id, MISSING):
        told.append(
            refused(await people["owner"].put(f"/slots/{stage.ids['slot_id']}/invitees", {"userIds": [theirs]}), 422)
        )
    assert all({**each, "requestId": ""} == {**told[0], "requestId": ""} for each in told)
    assert await everything(sql) == before


async def test_filters_by_foreign_ids_find_nothing(stage: Stage) -> None:
    for caller in ("creator", "stranger", "merchant"):
        person = stage.people[caller]
        for path, name in (
            ("/slots", "projectId"),
            ("/bids", "slotId"),
            ("/bids", "projectId"),
            ("/commitments", "projectId"),
        ):
            key = {"projectId": "project_id", "slotId": "slot_id"}[name]
            assert ok(await person.get(path, params={name: stage.ids[key]})) == []
    rival = ok(await stage.people["rival"].get("/bids", params={"slotId": stage.ids["slot_id"]}))
    assert [each["counterpartyId"] for each in rival] == [stage.people["rival"].id]


# Mass assignment (S3).


async def test_extra_fields_are_refused_and_change_nothing(stage: Stage, sql: Sql) -> None:
    extra = {
        "id": MISSING,
        "role": "Operator",
        "isActive": True,
        "isOperator": True,
        "creatorId": MISSING,
        "merchantId": MISSING,
        "counterpartyId": MISSING,
        "status": "Accepted",
        "password_hash": "x",
        "committedAmount": 5,
        "termsVersion": 5,
        "createdAt": "2020-01-01T00:00:00Z",
        "holdsSlot": True,
        "__proto__": {},
    }
    before = await everything(sql)
    for operation in KNOWN:
        if "application/json" not in operation.body:
            continue
        example = stage.bodies.get(operation.id, operation.body["application/json"].get("example"))
        caller = (callers(operation, "+.") or ["owner"])[-1]
        for name, value in extra.items():
            if name in example or (operation.id == "approveBid" and name == "termsVersion"):
                continue
            stage.bodies[operation.id] = {**example, name: value}
            response = await stage.call(caller, operation)
            known = name in _properties(operation)
            assert response.status_code == 422 or known, f"{operation.id} took {name}: {response.text}"
            if not known:
                refused(response, 422, field=name)
    assert await everything(sql) == before


def _properties(operation: Operation) -> set[str]:
    """The names that a call's body has."""
    schema = operation.body["application/json"]["schema"]
    options = [resolved(each) for each in schema.get("anyOf", [schema])]
    return {name for each in options for name in each.get("properties", {})}


@pytest.mark.parametrize("role", ["Operator", "operator", "OPERATOR", "System", "Anonymous", "", None, ["Operator"]])
async def test_nobody_becomes_an_operator_over_http(world: World, sql: Sql, role: Any) -> None:
    body = {"email": "o@example.com", "password": "a password of some length", "name": "O", "role": role}
    refused(await world.nobody.post("/auth/signup", body), 422, field="role")
    ada = await world.advertiser()
    for method, path in (("PATCH", "/auth/me"), ("PUT", "/auth/me"), ("PATCH", f"/operator/users/{ada.id}")):
        response = await ada.call(method, path, json={"role": role})
        assert response.status_code in (404, 405, 422)
    assert await sql.fetchval("SELECT count(*) FROM users WHERE role = 'Operator'") == 0
