"""Every state × action × caller over HTTP: the answer is the pure decision's, and a refusal changes no byte."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from backend.core.config import Settings
from backend.models.bids import BID_MACHINE, BidStatus, DeclineReason
from backend.models.commitments import COMMITMENT_MACHINE, CommitmentStatus
from backend.models.slots import Modality
from backend.policies import bids as policy
from backend.policies import commitments as placement_policy
from backend.policies.bids import Deal, Hold
from backend.policies.commitments import Placement
from backend.policies.deals import Decision, Party, Refusal, Repeat, Step
from tests.factories.dumps import dump
from tests.factories.people import Person
from tests.factories.world import World, ok

AUCTION, RESERVATION = Modality.AUCTION, Modality.RESERVATION


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Tokens outlive the days that these tests let pass."""
    return settings.model_copy(update={"jwt_expires_in": 365 * 86400})


@dataclass
class Stage:
    """Who takes part, and the bid on trial."""

    world: World
    creator: Person
    buyer: Person
    rival: Person
    operator: Person
    modality: Modality
    slot: dict[str, Any]
    bid: dict[str, Any]


State = Callable[[Stage], Awaitable[None]]
STATES: dict[str, State] = {}


def state(build: State) -> State:
    """Register a way into a state."""
    STATES[build.__name__] = build
    return build


@state
async def pending(stage: Stage) -> None:
    pass


@state
async def awaiting_by_creator(stage: Stage) -> None:
    await stage.world.approve(stage.creator, stage.bid)


@state
async def awaiting_by_buyer(stage: Stage) -> None:
    await stage.world.approve(stage.buyer, stage.bid)


@state
async def accepted(stage: Stage) -> None:
    await awaiting_by_buyer(stage)
    await stage.world.approve(stage.creator, stage.bid)


@state
async def committed(stage: Stage) -> None:
    await accepted(stage)
    ok(await stage.buyer.post(f"/bids/{stage.bid['id']}/commit"))


@state
async def declined_for_price(stage: Stage) -> None:
    ok(await stage.creator.post(f"/bids/{stage.bid['id']}/decline", {"reason": "price"}))


@state
async def declined_as_other(stage: Stage) -> None:
    await awaiting_by_creator(stage)
    ok(await stage.creator.post(f"/bids/{stage.bid['id']}/decline", {"reason": "other"}))


@state
async def withdrawn(stage: Stage) -> None:
    ok(await stage.buyer.post(f"/bids/{stage.bid['id']}/withdraw"))


@state
async def cancelled(stage: Stage) -> None:
    await committed(stage)
    found = ok(await stage.buyer.get("/commitments"))
    body = {"reason": "Over.", "onBehalfOf": {"side": "buyer", "reason": "They asked."}}
    ok(await stage.operator.post(f"/commitments/{found[0]['id']}/cancel", body))


@state
async def overdue_and_unwritten(stage: Stage) -> None:
    stage.world.advance(days=15)


@state
async def accepted_and_past_its_deadline(stage: Stage) -> None:
    await accepted(stage)
    stage.world.advance(days=7)


@state
async def slot_removed(stage: Stage) -> None:
    if stage.modality is RESERVATION:  # held slots cannot be removed
        await withdrawn(stage)
    ok(await stage.creator.delete(f"/slots/{stage.slot['id']}"))


@state
async def standby(stage: Stage) -> None:
    if stage.modality is RESERVATION:
        return
    other = await stage.world.bid(stage.rival, stage.slot)
    await stage.world.approve(stage.creator, other)


@state
async def standby_approved_by_buyer(stage: Stage) -> None:
    await standby(stage)
    await stage.world.approve(stage.buyer, stage.bid)


@state
async def slot_sold(stage: Stage) -> None:
    if stage.modality is RESERVATION:
        await withdrawn(stage)
    await stage.world.committed(stage.creator, stage.rival, stage.slot)


ACTIONS: dict[str, dict[str, Any] | None] = {
    "terms": {"baseVersion": 1, "objective": "Other"},
    "approve": {"termsVersion": 1},
    "decline": {"reason": "price"},
    "withdraw": None,
    "commit": {"amount": 1500},
}


def decide(action: str, deal: Deal, party: Party, bid: dict[str, Any]) -> Decision:
    amount = bid["amount"]
    match action:
        case "terms":
            return policy.terms(deal, party, 1, amount, amount)
        case "approve":
            return policy.approve(deal, party, 1)
        case "decline":
            return policy.decline(deal, party, DeclineReason.PRICE)
        case "withdraw":
            return policy.withdraw(deal, party)
        case _:
            return policy.commit(deal, party, amount, amount)


def seen_as(bid: dict[str, Any], *, others_hold: bool) -> Deal:
    """The pure value, from nothing but what the API says."""
    hold = Hold.MINE if bid["holdsSlot"] else Hold.OTHER if others_hold else Hold.FREE
    return Deal(
        BidStatus(bid["status"]),
        DeclineReason(bid["declineReason"]) if bid["declineReason"] else None,
        Modality(bid["slot"]["modality"]),
        bid["termsVersion"],
        bid["approvals"]["creator"],
        bid["approvals"]["buyer"],
        hold,
    )


CALLERS = {Party.CREATOR: "creator", Party.BUYER: "buyer", Party.OPERATOR: "operator"}
SIDES = {"decline": "creator", "withdraw": "buyer"}


async def attempt(stage: Stage, person: Person, action: str) -> Any:
    body = dict(ACTIONS[action] or {})
    if person is stage.operator and action in SIDES:
        body["onBehalfOf"] = {"side": SIDES[action], "reason": "They asked by telephone."}
    return await person.post(f"/bids/{stage.bid['id']}/{action}", body)


def check_refusal(response: Any, refusal: Refusal, bid: dict[str, Any]) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (409, refusal.code), response.text
    assert problem["currentStatus"] == bid["status"]
    assert problem["allowedActions"] == bid["allowedActions"]


@pytest.mark.parametrize("modality", list(Modality))
@pytest.mark.parametrize("build", STATES.values(), ids=STATES)
async def test_every_action_by_everybody_is_answered_as_decided(
    world: World, sql: asyncpg.Connection[asyncpg.Record], build: State, modality: Modality
) -> None:
    creator, buyer, rival = await world.creator(), await world.advertiser(), await world.merchant()
    operator, other = await world.operator(), await world.creator()
    slot = await world.slot(creator, modality=modality.value)
    stage = Stage(world, creator, buyer, rival, operator, modality, slot, await world.bid(buyer, slot))
    await build(stage)
    path = f"/bids/{stage.bid['id']}"
    people: dict[Party, Person] = {party: getattr(stage, name) for party, name in CALLERS.items()}
    views = {party: ok(await person.get(path)) for party, person in people.items()}
    others_hold = views[Party.BUYER]["slot"]["status"] == "Locked" and not views[Party.BUYER]["holdsSlot"]

    before = await dump(sql)
    steps: list[tuple[Party, str, Step]] = []
    for action, body in ACTIONS.items():
        assert (await attempt(stage, world.nobody, action)).status_code == 401
        missing = (await rival.post(f"/bids/{creator.id}/{action}", body or {})).json()
        for stranger in (other, rival):
            problem = (await attempt(stage, stranger, action)).json()
            assert (problem["status"], problem["code"]) == (404, "not_found")
            assert {**problem, "requestId": ""} == {**missing, "requestId": ""}
        for party, person in people.items():
            deal = seen_as(views[party], others_hold=others_hold)
            decision = decide(action, deal, party, views[party])
            if party.value not in BID_MACHINE.actors(action):
                answer = await attempt(stage, person, action)
                assert (answer.status_code, answer.json()["code"]) == (403, "wrong_party")
                assert action not in views[party]["allowedActions"]
                continue
            assert (action in views[party]["allowedActions"]) == isinstance(decision, Step)
            match decision:
                case Step():
                    steps.append((party, action, decision))
                case Refusal():
                    check_refusal(await attempt(stage, person, action), decision, views[party])
                case Repeat():
                    answer = ok(await attempt(stage, person, action))
                    if action != "commit":
                        assert answer == views[party]
    assert await dump(sql) == before, "refusals and repeats write nothing"
    if steps:
        # One of them for real, chosen by the state's name so that every kind has its turn.
        party, action, step = steps[sum(map(ord, build.__name__ + modality.value)) % len(steps)]
        ok(await attempt(stage, people[party], action))
        assert ok(await people[party].get(path))["status"] == step.to
        assert await dump(sql) != before


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("party", list(CALLERS))
@pytest.mark.parametrize("modality", list(Modality))
async def test_every_step_is_taken_from_every_state_that_allows_it(
    world: World, party: Party, action: str, modality: Modality
) -> None:
    if party.value not in BID_MACHINE.actors(action):
        return
    creator, operator = await world.creator(), await world.operator()
    project = await world.project(creator)
    for build in (pending, awaiting_by_creator, awaiting_by_buyer, accepted, standby):
        slot = await world.slot(creator, project, modality=modality.value)
        buyer, rival = await world.advertiser(), await world.merchant()
        stage = Stage(world, creator, buyer, rival, operator, modality, slot, await world.bid(buyer, slot))
        await build(stage)
        person: Person = getattr(stage, CALLERS[party])
        view = ok(await person.get(f"/bids/{stage.bid['id']}"))
        others = view["slot"]["status"] == "Locked" and not view["holdsSlot"]
        decision = decide(action, seen_as(view, others_hold=others), party, view)
        if isinstance(decision, Step):
            ok(await attempt(stage, person, action))
            then = ok(await person.get(f"/bids/{stage.bid['id']}"))
            assert then["status"] == decision.to, (build.__name__, then)
            approvals = sum(then["approvals"].values())
            counts = {"Pending": 0, "AwaitingFinalApproval": 1, "Accepted": 2, "Committed": 2}
            assert then["status"] == "Declined" or approvals == counts[then["status"]]
            locked = then["slot"]["status"] == "Locked"
            assert locked == (then["holdsSlot"] or others)


# Commitments.

COMMITMENT_ACTIONS: dict[str, dict[str, Any] | None] = {
    "deliver": {"note": "It is there."},
    "confirm": None,
    "reject": {"reason": "The label is not seen."},
    "cancel": {"reason": "The scene was cut."},
}
SIDES |= {"deliver": "creator", "confirm": "buyer", "reject": "buyer", "cancel": "buyer"}
DECIDE = {
    "deliver": placement_policy.deliver,
    "confirm": placement_policy.confirm,
    "reject": placement_policy.reject,
    "cancel": placement_policy.cancel,
}


async def act(stage: Stage, person: Person, commitment: dict[str, Any], action: str) -> Any:
    body = dict(COMMITMENT_ACTIONS[action] or {})
    if person is stage.operator:
        body["onBehalfOf"] = {"side": SIDES[action], "reason": "They asked by telephone."}
    return await person.post(f"/commitments/{commitment['id']}/{action}", body)


# Name: what is done (by whom), and how far the clock moves then.
COMMITMENT_STATES: dict[str, tuple[list[tuple[str, str]], int]] = {
    "active": ([], 0),
    "active and late": ([], 90),
    "cancel asked by creator": ([("creator", "cancel")], 0),
    "cancel asked by buyer": ([("buyer", "cancel")], 0),
    "late, cancel asked by creator": ([("creator", "cancel")], 90),
    "delivered": ([("creator", "deliver")], 0),
    "delivered, cancel asked by buyer": ([("creator", "deliver"), ("buyer", "cancel")], 0),
    "confirmed by the clock": ([("creator", "deliver")], 14),
    "rejected": ([("creator", "deliver"), ("buyer", "reject")], 0),
    "completed": ([("creator", "deliver"), ("buyer", "confirm")], 0),
    "cancelled": ([("creator", "cancel"), ("buyer", "cancel")], 0),
}


@pytest.mark.parametrize("name", COMMITMENT_STATES)
async def test_every_action_on_a_commitment_is_answered_as_decided(
    world: World, sql: asyncpg.Connection[asyncpg.Record], name: str
) -> None:
    creator, buyer, rival = await world.creator(), await world.advertiser(), await world.merchant()
    operator, other = await world.operator(), await world.creator()
    slot = await world.slot(creator)
    stage = Stage(world, creator, buyer, rival, operator, AUCTION, slot, {})
    commitment = await world.committed(creator, buyer, slot)
    script, days = COMMITMENT_STATES[name]
    for who, action in script:
        ok(await act(stage, getattr(stage, who), commitment, action))
    world.advance(days=days)
    path = f"/commitments/{commitment['id']}"
    people: dict[Party, Person] = {party: getattr(stage, each) for party, each in CALLERS.items()}
    views = {party: ok(await person.get(path)) for party, person in people.items()}
    late = days >= 90
    before = await dump(sql)
    steps: list[tuple[Party, str, Step]] = []
    for action in COMMITMENT_ACTIONS:
        assert (await act(stage, world.nobody, commitment, action)).status_code == 401
        for stranger in (other, rival):
            problem = (await act(stage, stranger, commitment, action)).json()
            assert (problem["status"], problem["code"]) == (404, "not_found")
        for party, person in people.items():
            view = views[party]
            status, asked = CommitmentStatus(view["status"]), view["cancelRequestedBy"]
            decision = DECIDE[action](Placement(status, late, asked), party)
            if party.value not in COMMITMENT_MACHINE.actors(action):
                answer = await act(stage, person, commitment, action)
                assert (answer.status_code, answer.json()["code"]) == (403, "wrong_party")
                continue
            assert (action in view["allowedActions"]) == isinstance(decision, Step), (party, action, view)
            match decision:
                case Step():
                    steps.append((party, action, decision))
                case Refusal():
                    check_refusal(await act(stage, person, commitment, action), decision, view)
                case Repeat():
                    assert ok(await act(stage, person, commitment, action)) == view
    assert await dump(sql) == before, "refusals and repeats write nothing"
    if steps:
        party, action, step = steps[len(name) % len(steps)]
        assert ok(await act(stage, people[party], commitment, action))["status"] == step.to
