"""One's own sessions: where one is signed in, and ending one of them."""

from __future__ import annotations

from tests.factories.refusals import refused
from tests.factories.world import World, ok

MISSING = "0199a3c0-0000-7000-8000-00000000dead"


async def test_one_sees_ones_own_sessions_and_which_is_this_one(world: World) -> None:
    ada = await world.advertiser()
    await world.merchant()
    assert ada.user
    again = await world.log_in(ada.user["email"])
    found = ok(await again.get("/auth/sessions"))
    assert [each["current"] for each in found] == [True, False], "newest first"
    assert set(found[0]) == {"id", "current", "createdAt", "renewedAt", "expiresAt"}
    assert [each["current"] for each in ok(await ada.get("/auth/sessions"))] == [False, True]
    assert len(ok(await ada.get("/auth/sessions", params={"limit": 1}))) == 1
    refused(await world.nobody.get("/auth/sessions"), 401)


async def test_renewing_keeps_the_session_and_ended_or_outlived_ones_are_gone(world: World) -> None:
    ada = await world.advertiser()
    assert ada.user
    first = ok(await ada.get("/auth/sessions"))[0]
    world.advance(hours=1)
    ok(await world.nobody.post("/auth/refresh", {"refreshToken": ada.refresh_token}))
    [renewed] = ok(await ada.get("/auth/sessions"))
    assert (renewed["id"], renewed["createdAt"]) == (first["id"], first["createdAt"])
    assert renewed["renewedAt"] > first["renewedAt"]
    other = await world.log_in(ada.user["email"])
    ok(await world.nobody.post("/auth/logout", {"refreshToken": other.refresh_token}))
    assert [each["id"] for each in ok(await ada.get("/auth/sessions"))] == [first["id"]]
    world.advance(days=31)
    later = await world.log_in(ada.user["email"])
    assert [each["current"] for each in ok(await later.get("/auth/sessions"))] == [True]


async def test_an_ended_session_is_refused_from_the_next_request_and_nobody_elses_can_be_ended(world: World) -> None:
    ada, mia, operator = await world.advertiser(), await world.merchant(), await world.operator()
    assert ada.user
    lost = await world.log_in(ada.user["email"])
    mine = {each["current"]: each["id"] for each in ok(await lost.get("/auth/sessions"))}
    for person in (mia, operator):
        refused(await person.delete(f"/auth/sessions/{mine[True]}"), 404, "not_found")
    refused(await world.nobody.delete(f"/auth/sessions/{mine[True]}"), 401)
    ok(await lost.get("/auth/me"))

    assert (await ada.delete(f"/auth/sessions/{mine[True]}")).status_code == 204
    refused(await lost.get("/auth/me"), 401, "session_ended")
    refused(await world.nobody.post("/auth/refresh", {"refreshToken": lost.refresh_token}), 401)
    for gone in (mine[True], MISSING, "nonsense"):
        refused(await ada.delete(f"/auth/sessions/{gone}"), 404, "not_found")
    ok(await ada.get("/auth/me"))
    reasons = [
        each["data"].get("reason")
        for each in ok(await operator.get("/operator/events", params={"action": "session.ended"}))
    ]
    assert reasons == ["ended_by_owner"]

    assert (await ada.delete(f"/auth/sessions/{mine[False]}")).status_code == 204
    refused(await ada.get("/auth/me"), 401, "session_ended")
