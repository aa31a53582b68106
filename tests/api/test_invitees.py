"""Invitees: the buyers who may see a private slot."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from tests.factories.refusals import refused
from tests.factories.world import World, ok

MISSING = "018f0000-0000-7000-8000-000000000000"


async def test_the_owner_invites_exactly_these(world: World) -> None:
    cleo, ada, mia = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo, visibility="Private")
    path = f"/slots/{slot['id']}/invitees"
    assert ok(await cleo.get(path)) == {"userIds": []}
    assert ok(await cleo.put(path, {"userIds": [mia.id]})) == {"userIds": [mia.id]}
    # In the order of their invitation; twice is once.
    assert ok(await cleo.put(path, {"userIds": [ada.id, mia.id, ada.id]})) == {"userIds": [mia.id, ada.id]}
    assert ok(await cleo.get(path)) == {"userIds": [mia.id, ada.id]}
    assert ok(await cleo.put(path, {"userIds": [ada.id]})) == {"userIds": [ada.id]}
    refused(await mia.get(f"/slots/{slot['id']}"), 404)
    assert ok(await cleo.put(path, {"userIds": []})) == {"userIds": []}
    refused(await ada.get(f"/slots/{slot['id']}"), 404)


async def test_only_the_owner_reads_and_invites(world: World) -> None:
    cleo, clay = await world.creator(), await world.creator()
    ada, opal = await world.advertiser(), await world.operator()
    slot = await world.slot(cleo, visibility="Private")
    path = f"/slots/{slot['id']}/invitees"
    for person, status in ((world.nobody, 401), (clay, 404), (ada, 404), (opal, 403)):
        refused(await person.get(path), status)
        refused(await person.put(path, {"userIds": []}), status)
    ok(await cleo.put(path, {"userIds": [ada.id]}))
    refused(await ada.get(path), 403)
    refused(await ada.put(path, {"userIds": []}), 403)
    refused(await cleo.get(f"/slots/{MISSING}/invitees"), 404)
    assert (await cleo.delete(f"/slots/{slot['id']}")).status_code == 204
    refused(await cleo.get(path), 404)
    refused(await cleo.put(path, {"userIds": []}), 404)


async def test_only_active_buyers_are_invited(world: World, sql: asyncpg.Connection[Any]) -> None:
    cleo, clay = await world.creator(), await world.creator()
    ada, gone, opal = await world.advertiser(), await world.merchant(), await world.operator()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}/invitees"
    await sql.execute("UPDATE users SET is_active = false WHERE id = $1", gone.id)
    for wrong in (MISSING, clay.id, cleo.id, opal.id, gone.id):
        refused(await cleo.put(path, {"userIds": [ada.id, wrong]}), 422, "unknown_buyer", field="userIds.1")
    assert ok(await cleo.get(path)) == {"userIds": []}


async def test_an_invited_buyer_who_left_does_not_stand_in_the_way(world: World, sql: asyncpg.Connection[Any]) -> None:
    """What was read can be written back with one more."""
    cleo, ada, gone = await world.creator(), await world.advertiser(), await world.merchant()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}/invitees"
    ok(await cleo.put(path, {"userIds": [gone.id]}))
    await sql.execute("UPDATE users SET is_active = false WHERE id = $1", gone.id)
    read = ok(await cleo.get(path))["userIds"]
    assert ok(await cleo.put(path, {"userIds": [*read, ada.id]})) == {"userIds": [gone.id, ada.id]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"userIds": None},
        {"userIds": "all"},
        {"userIds": ["me"]},
        {"userIds": [], "x": 1},
        {"userIds": [MISSING] * 1001},
    ],
)
async def test_a_wrong_shape_is_refused(world: World, body: Any) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo)
    refused(await cleo.put(f"/slots/{slot['id']}/invitees", body), 422)


async def test_a_stale_version_is_refused(world: World) -> None:
    cleo, ada, opal = await world.creator(), await world.advertiser(), await world.operator()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}/invitees"
    first = (await cleo.get(path)).headers["etag"]
    second = (await cleo.put(path, {"userIds": [ada.id]}, headers={"If-Match": first})).headers["etag"]
    assert second == (await cleo.get(path)).headers["etag"] != first
    refused(await cleo.put(path, {"userIds": []}, headers={"If-Match": first}), 412, "stale_version")
    refused(await opal.put(path, {"userIds": []}, headers={"If-Match": first}), 403)
    ok(await cleo.put(path, {"userIds": []}, headers={"If-Match": second}))


async def test_lists_sent_at_once_never_mix(world: World) -> None:
    cleo = await world.creator()
    buyers = [(await world.advertiser()).id for _ in range(4)]
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}/invitees"
    lists = [buyers[:2], buyers[2:], buyers[:1], buyers]
    answers = await asyncio.gather(*(cleo.put(path, {"userIds": each}) for each in lists * 3))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(ok(await cleo.get(path))["userIds"]) in [sorted(each) for each in lists]
