"""What a reader is spared: the body of a version it has, and most bytes of a long list."""

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


async def test_a_long_list_is_packed_for_who_takes_it(world: World) -> None:
    cleo = await world.creator()
    project = await world.project(cleo)
    await world.slot(cleo, project)
    short = await cleo.get("/slots", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers
    for number in range(6):
        await world.slot(cleo, project, description=f"{number} " + "A long description. " * 150)
    packed = await cleo.get("/slots", headers={"Accept-Encoding": "gzip, br"})
    plain = await cleo.get("/slots", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
    for each in (packed, plain):
        assert "accept-encoding" in each.headers["vary"].lower()
