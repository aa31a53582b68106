"""A reader who names the version it has gets 304 and no body."""

from __future__ import annotations

from tests.factories.world import World, ok


async def test_a_reader_who_has_the_version_is_told_so(world: World) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}"
    etag = (await cleo.get(path)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await cleo.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert "content-type" not in answer.headers
    for other in ('"other"', "", etag.strip('"')):
        assert ok(await cleo.get(path, headers={"If-None-Match": other})) == slot


async def test_a_version_that_has_changed_is_answered_whole(world: World) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo)
    path = f"/slots/{slot['id']}"
    etag = (await cleo.get(path)).headers["etag"]
    ok(await cleo.patch(path, {"sceneRef": "Another scene"}))
    answer = await cleo.get(path, headers={"If-None-Match": etag})
    assert ok(answer)["sceneRef"] == "Another scene"
    assert answer.headers["etag"] != etag


async def test_a_change_takes_no_notice(world: World) -> None:
    cleo = await world.creator()
    slot = await world.slot(cleo)
    changed = await cleo.patch(f"/slots/{slot['id']}", {"sceneRef": "A"}, headers={"If-None-Match": "*"})
    assert ok(changed)["sceneRef"] == "A"
