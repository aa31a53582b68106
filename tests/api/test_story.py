"""The whole story of a deal, as the README tells it."""

from __future__ import annotations

from tests.factories.world import World, ok


async def test_a_slot_goes_from_available_to_a_commitment(world: World) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    project = await world.project(cleo)
    slot = await world.slot(cleo, project)
    assert slot["status"] == "Available"

    found = ok(await ada.get("/slots", params={"genre": "drama", "status": "Available"}))
    assert [each["id"] for each in found] == [slot["id"]]

    bid = await world.bid(ada, slot, message="We would love the train scene.")
    assert bid["status"] == "Pending"
    assert [comment["text"] for comment in bid["comments"]] == ["We would love the train scene."]

    bid = ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 1800}))
    assert (bid["status"], bid["termsVersion"], bid["amount"]) == ("Pending", 2, 1800)
    bid = await world.approve(cleo, bid)
    assert (bid["status"], bid["holdsSlot"], bid["slot"]["status"]) == ("AwaitingFinalApproval", True, "Locked")
    bid = await world.approve(ada, bid)
    assert bid["status"] == "Accepted"

    commitment = ok(await ada.post(f"/bids/{bid['id']}/commit"))
    assert (commitment["status"], commitment["amount"], commitment["bidStatus"]) == ("Active", 1800, "Committed")
    assert ok(await cleo.get(f"/projects/{project['id']}"))["committedAmount"] == 1800
    assert ok(await cleo.get("/commitments")) == [{**commitment, "allowedActions": ["deliver", "cancel"]}]
