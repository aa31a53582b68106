"""Comments: the conversation on a bid."""

from __future__ import annotations

from tests.factories.refusals import refused
from tests.factories.world import World, ok


async def test_parties_and_operators_talk_in_any_state(world: World) -> None:
    cleo, ada, op = await world.creator(name="Cleo"), await world.advertiser(name="Ada"), await world.operator()
    bid = await world.bid(ada, await world.slot(cleo), message="Hello.")
    path = f"/bids/{bid['id']}/comments"
    said = await cleo.post(path, {"text": "  Hi. <b>é 漢字</b>\n "})
    assert said.status_code == 201
    assert (said.json()["text"], said.json()["authorName"]) == ("Hi. <b>é 漢字</b>", "Cleo")
    ok(await ada.post(f"/bids/{bid['id']}/withdraw"))
    ok(await op.post(path, {"text": "Anything wrong?"}))
    found = ok(await ada.get(path))
    assert [each["authorName"] for each in found] == ["Ada", "Cleo", "Op Erator"]
    assert ok(await ada.get(f"/bids/{bid['id']}"))["comments"] == found
    page = await ada.get(path, params={"limit": 2})
    link = page.headers["link"]
    following = link[link.index("<") + 1 : link.index(">")].removeprefix("/api/v1")
    assert ok(page) + ok(await ada.get(following)) == found


async def test_strangers_neither_read_nor_speak(world: World) -> None:
    cleo, ada, mel, other = (
        await world.creator(),
        await world.advertiser(),
        await world.merchant(),
        await world.creator(),
    )
    slot = await world.slot(cleo)
    bid = await world.bid(ada, slot)
    await world.bid(mel, slot)
    for stranger in (mel, other):
        refused(await stranger.get(f"/bids/{bid['id']}/comments"), 404)
        refused(await stranger.post(f"/bids/{bid['id']}/comments", {"text": "x"}), 404)
    refused(await world.nobody.post(f"/bids/{bid['id']}/comments", {"text": "x"}), 401)
    for body in ({}, {"text": " "}, {"text": "x" * 4001}, {"text": 1}, {"text": "a\x00b"}, {"text": "x", "by": "y"}):
        refused(await ada.post(f"/bids/{bid['id']}/comments", body), 422)
    assert ok(await ada.get(f"/bids/{bid['id']}/comments")) == []
