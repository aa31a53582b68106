"""Commitments: deliver, confirm, reject, cancel, and what lists and slots say meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import asyncpg
import pytest

from backend.core.config import Settings
from backend.schemas.commitments import CommitmentOut
from tests.factories.dumps import dump
from tests.factories.people import Person
from tests.factories.refusals import refused
from tests.factories.world import World, ok

Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
REASON = {"reason": "The scene was cut."}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Tokens outlive the months that these tests let pass."""
    return settings.model_copy(update={"jwt_expires_in": 365 * 86400})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def act(person: Person, commitment: dict[str, Any], action: str, body: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = ok(await person.post(f"/commitments/{commitment['id']}/{action}", body))
    CommitmentOut.model_validate(found)
    return found


async def deal(world: World) -> tuple[Person, Person, dict[str, Any], dict[str, Any]]:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    return cleo, ada, slot, await world.committed(cleo, ada, slot)


async def test_a_placement_is_delivered_confirmed_and_completed(world: World) -> None:
    cleo, ada, slot, commitment = await deal(world)
    now = world.freeze()
    delivered = await act(
        cleo, commitment, "deliver", {"note": "Minute 12.", "evidenceUrl": "https://video.example/12"}
    )
    assert (delivered["status"], delivered["evidenceUrl"]) == ("Delivered", "https://video.example/12")
    assert moment(delivered["deliveredAt"]) == now
    assert moment(delivered["confirmBy"]) == now + timedelta(days=14)
    assert delivered["allowedActions"] == ["cancel"]
    assert ok(await ada.get(f"/commitments/{commitment['id']}"))["allowedActions"] == ["confirm", "reject", "cancel"]
    bid = ok(await ada.get(f"/bids/{commitment['bidId']}"))
    assert [each["text"] for each in bid["comments"]] == ["Minute 12."]
    assert bid["holdsSlot"]
    assert ok(await ada.get(f"/slots/{slot['id']}"))["status"] == "Locked"
    completed = await act(ada, commitment, "confirm")
    assert (completed["status"], moment(completed["completedAt"])) == ("Completed", now)
    assert (completed["bidStatus"], completed["allowedActions"]) == ("Committed", [])
    assert ok(await ada.get(f"/slots/{slot['id']}"))["status"] == "Completed"
    bid = ok(await ada.get(f"/bids/{commitment['bidId']}"))
    assert (bid["status"], bid["holdsSlot"], bid["slot"]["status"]) == ("Committed", False, "Completed")


async def test_a_rejected_delivery_is_active_again_and_may_come_anew(world: World) -> None:
    cleo, ada, slot, commitment = await deal(world)
    await act(cleo, commitment, "deliver", {"note": "There."})
    rejected = await act(ada, commitment, "reject", {"reason": "The label is not seen."})
    assert (rejected["status"], rejected["deliveredAt"], rejected["confirmBy"]) == ("Active", None, None)
    world.advance(days=15)
    assert ok(await ada.get(f"/slots/{slot['id']}"))["status"] == "Locked"
    refused(await ada.post(f"/commitments/{commitment['id']}/reject", REASON), 409, "wrong_state")
    assert (await act(cleo, commitment, "deliver", {"note": "Again."}))["status"] == "Delivered"
    assert (await act(ada, commitment, "confirm", {}))["status"] == "Completed"
    bid = ok(await ada.get(f"/bids/{commitment['bidId']}"))
    assert [each["text"] for each in bid["comments"]] == ["There.", "The label is not seen.", "Again."]


async def test_two_sides_cancel_and_the_slot_is_free_again(world: World, sql: Sql) -> None:
    cleo, ada, slot, commitment = await deal(world)
    asked = await act(ada, commitment, "cancel", REASON)
    assert (asked["status"], asked["cancelRequestedBy"]) == ("Active", "buyer")
    assert asked["allowedActions"] == []
    assert "cancel" in ok(await cleo.get(f"/commitments/{commitment['id']}"))["allowedActions"]
    cancelled = await act(cleo, commitment, "cancel", {"reason": "Agreed."})
    assert (cancelled["status"], cancelled["bidStatus"]) == ("Cancelled", "Declined")
    assert (cancelled["cancelRequestedBy"], cancelled["allowedActions"]) == (None, [])
    bid = ok(await ada.get(f"/bids/{commitment['bidId']}"))
    assert (bid["status"], bid["declineReason"], bid["holdsSlot"]) == ("Declined", "cancelled", False)
    assert bid["slot"]["status"] == "Available"
    assert [each["text"] for each in bid["comments"]] == [REASON["reason"], "Agreed."]
    # The slot can be sold again, to the same buyer too.
    again = await world.committed(cleo, ada, slot)
    assert again["id"] != commitment["id"]
    actions = await sql.fetch("SELECT action, data::text FROM events WHERE bid_id = $1", bid["id"])
    assert "commitment.cancel_requested" in [row["action"] for row in actions]
    assert not [row for row in actions if "scene" in row["data"]]


@pytest.mark.parametrize("change", ["deliver", "reject", "confirm"])
async def test_a_request_to_cancel_blocks_nothing_and_lapses_with_any_change(world: World, change: str) -> None:
    cleo, ada, _, commitment = await deal(world)
    if change != "deliver":
        await act(cleo, commitment, "deliver", {"note": "There."})
    asker, other = (ada, cleo) if change == "deliver" else (cleo, ada)
    assert (await act(asker, commitment, "cancel", REASON))["cancelRequestedBy"] is not None
    bodies = {"deliver": {"note": "There."}, "reject": REASON, "confirm": None}
    changed = await act(other, commitment, change, bodies[change])
    assert changed["cancelRequestedBy"] is None
    if change != "confirm":
        assert (await act(other, commitment, "cancel", REASON))["status"] != "Cancelled"


async def test_the_buyer_alone_cancels_from_the_instant_that_delivery_is_late(world: World) -> None:
    cleo, ada, _, commitment = await deal(world)
    late = moment(commitment["deliverBy"])
    world.freeze(late - timedelta(microseconds=1))
    assert (await act(ada, commitment, "cancel", REASON))["status"] == "Active"
    world.freeze(late)
    assert (await act(cleo, commitment, "deliver", {"note": "Late."}))["status"] == "Delivered"
    assert (await act(ada, commitment, "cancel", REASON))["cancelRequestedBy"] == "buyer", "delivered is not late"
    await act(ada, commitment, "reject", REASON)
    assert (await act(ada, commitment, "cancel", REASON))["status"] == "Cancelled"


async def test_the_creator_alone_never_cancels(world: World) -> None:
    cleo, _, _, commitment = await deal(world)
    world.advance(days=91)
    assert (await act(cleo, commitment, "cancel", REASON))["status"] == "Active"
    assert (await act(cleo, commitment, "cancel", REASON))["cancelRequestedBy"] == "creator"


async def test_after_confirm_by_the_clock_has_confirmed(world: World, sql: Sql) -> None:
    cleo, ada, slot, commitment = await deal(world)
    delivered = await act(cleo, commitment, "deliver", {"note": "There."})
    path, due = f"/commitments/{commitment['id']}", moment(delivered["confirmBy"])
    world.freeze(due - timedelta(microseconds=1))
    assert ok(await ada.get(path))["status"] == "Delivered"
    assert await world.expire() == 0
    world.freeze(due)
    before = await dump(sql)
    seen = ok(await ada.get(path))
    assert (seen["status"], moment(seen["completedAt"]), seen["allowedActions"]) == ("Completed", due, [])
    assert ok(await ada.get("/commitments", params={"status": "Completed"})) == [seen]
    assert ok(await ada.get("/commitments", params={"status": "Delivered"})) == []
    assert ok(await ada.get(f"/slots/{slot['id']}"))["status"] == "Completed"
    assert ok(await cleo.get("/slots", params={"status": "Completed"}))[0]["id"] == slot["id"]
    refused(await ada.post(f"{path}/reject", REASON), 409, "wrong_state")
    refused(await ada.post(f"{path}/cancel", REASON), 409, "wrong_state")
    assert ok(await ada.post(f"{path}/confirm")) == seen
    assert await dump(sql) == before
    assert await world.expire() == 1
    assert await world.expire() == 0
    assert ok(await ada.get(path)) == seen
    line = await sql.fetchrow("SELECT actor_role, actor_id FROM events WHERE action = 'commitment.completed'")
    assert line is not None
    assert tuple(line) == ("System", None)


async def test_a_slot_that_the_clock_completed_can_be_removed(world: World) -> None:
    cleo, ada, slot, commitment = await deal(world)
    refused(await cleo.delete(f"/slots/{slot['id']}"), 409, "slot_held")
    await act(cleo, commitment, "deliver", {"note": "There."})
    world.advance(days=14)
    ok(await cleo.delete(f"/slots/{slot['id']}"))
    refused(await ada.get(f"/slots/{slot['id']}"), 404)
    assert ok(await ada.get(f"/commitments/{commitment['id']}"))["status"] == "Completed"


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("deliver", {}, ""),
        ("deliver", None, ""),
        ("deliver", {"note": " "}, "note"),
        ("deliver", {"evidenceUrl": "javascript:alert(1)"}, "evidenceUrl"),
        ("deliver", {"note": "x", "status": "Completed"}, "status"),
        ("reject", {}, "reason"),
        ("reject", {"reason": "x" * 4001}, "reason"),
        ("cancel", {"reason": ""}, "reason"),
        ("cancel", {"reason": "x", "note": "y"}, "note"),
        ("confirm", {"note": "y"}, "note"),
        ("confirm", {"onBehalfOf": {"side": "buyer", "reason": "x"}}, "onBehalfOf"),
    ],
)
async def test_the_wrong_shape_is_refused(world: World, action: str, body: Any, field: str) -> None:
    cleo, ada, _, commitment = await deal(world)
    person = cleo if action == "deliver" else ada
    response = await person.post(f"/commitments/{commitment['id']}/{action}", body)
    problem = refused(response, 422)
    assert not field or field in [each["field"] for each in problem["errors"]]


@pytest.mark.parametrize(
    ("action", "side", "status"),
    [
        ("deliver", "creator", "Delivered"),
        ("confirm", "buyer", "Completed"),
        ("reject", "buyer", "Active"),
        ("cancel", "buyer", "Cancelled"),
        ("cancel", "creator", "Cancelled"),
    ],
)
async def test_operators_act_for_a_side_on_the_record(
    world: World, sql: Sql, action: str, side: str, status: str
) -> None:
    cleo, ada, _, commitment = await deal(world)
    op = await world.operator()
    if action in ("confirm", "reject"):
        await act(cleo, commitment, "deliver", {"note": "There."})
    body: dict[str, Any] = {"deliver": {"note": "There."}, "reject": REASON, "cancel": REASON}.get(action, {})
    path = f"/commitments/{commitment['id']}/{action}"
    refused(await op.post(path, body), 422, field="onBehalfOf")
    if action != "cancel":
        wrong = "buyer" if side == "creator" else "creator"
        refused(
            await op.post(path, {**body, "onBehalfOf": {"side": wrong, "reason": "x"}}), 422, field="onBehalfOf.side"
        )
    body = {**body, "onBehalfOf": {"side": side, "reason": "They asked by telephone."}}
    assert ok(await op.post(path, body))["status"] == status
    bid = ok(await ada.get(f"/bids/{commitment['bidId']}"))
    assert "They asked by telephone." in [each["text"] for each in bid["comments"] if each["authorId"] == op.id]
    rows = await sql.fetch("SELECT * FROM events WHERE actor_role = 'Operator' AND subject_type = 'commitment'")
    assert [side in row["data"] and "telephone" not in row["data"] for row in rows] == [True]


async def test_repeats_without_a_key_have_no_second_effect(world: World, sql: Sql) -> None:
    cleo, ada, _, commitment = await deal(world)
    other_cleo, other_ada, _, other = await deal(world)
    for person, made, action, body in (
        (cleo, commitment, "deliver", {"note": "There."}),
        (ada, commitment, "confirm", None),
        (other_ada, other, "cancel", REASON),
        (other_cleo, other, "cancel", REASON),
    ):
        path = f"/commitments/{made['id']}/{action}"
        answer = await person.post(path, body)
        assert answer.status_code == 200
        before = await dump(sql)
        again = await person.post(path, body)
        assert (again.status_code, again.content) == (200, answer.content)
        assert await dump(sql) == before
    again = await other_ada.post(f"/commitments/{other['id']}/cancel", REASON)
    assert again.json()["status"] == "Cancelled"


async def test_each_caller_lists_own_commitments(world: World) -> None:
    cleo, ada, slot, commitment = await deal(world)
    _, mel, _, second = await deal(world)
    op = await world.operator()

    async def listed(person: Person, **params: Any) -> list[str]:
        return [row["id"] for row in ok(await person.get("/commitments", params=params))]

    assert await listed(cleo) == await listed(ada) == [commitment["id"]]
    assert await listed(mel) == [second["id"]]
    assert await listed(op) == [second["id"], commitment["id"]]
    assert await listed(op, projectId=slot["projectId"]) == [commitment["id"]]
    assert await listed(op, status="Cancelled") == []
    refused(await mel.get(f"/commitments/{commitment['id']}"), 404)
    refused(await world.nobody.get("/commitments"), 401)
    refused(await op.get("/commitments", params={"status": "Open"}), 422)
