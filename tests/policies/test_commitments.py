"""The pure decisions about a commitment, for every state, action and caller, against the table and deals.md."""

from __future__ import annotations

from itertools import product

import pytest

from backend.models.bids import Side
from backend.models.commitments import COMMITMENT_MACHINE, CommitmentStatus
from backend.policies import commitments as policy
from backend.policies.commitments import Placement
from backend.policies.deals import Decision, Party, Refusal, Repeat, Step

ACTIVE, DELIVERED, COMPLETED, CANCELLED = CommitmentStatus
PARTIES = (Party.CREATOR, Party.BUYER, Party.OPERATOR)
DECIDE = {
    "deliver": policy.deliver,
    "confirm": policy.confirm,
    "reject": policy.reject,
    "cancel": policy.cancel,
}
DONE = {"deliver": DELIVERED, "confirm": COMPLETED, "cancel": CANCELLED}
PLACEMENTS = [
    Placement(status, late, asked)
    for status, late, asked in product(CommitmentStatus, (False, True), (None, *Side))
    if asked is None or status in (ACTIVE, DELIVERED)
]
EVERY = [(placement, action, party) for placement in PLACEMENTS for action in DECIDE for party in PARTIES]


@pytest.mark.parametrize("action", ["deliver", "confirm", "reject"])
def test_every_decision_is_what_the_table_says(action: str) -> None:
    for placement, party in product(PLACEMENTS, PARTIES):
        decision = DECIDE[action](placement, party)
        target = COMMITMENT_MACHINE.target(action, party, placement.status)
        if placement.status is DONE.get(action):
            assert decision == Repeat()
        elif target is None:
            assert isinstance(decision, Refusal)
            assert decision.code == "wrong_state"
        else:
            assert decision == Step(target)


def expected_of_cancel(placement: Placement, party: Party) -> str:
    """deals.md: both sides, the buyer alone after deliverBy, or an operator."""
    if placement.status is CANCELLED:
        return "repeat"
    if placement.status is COMPLETED:
        return "refused"
    if party is Party.OPERATOR or (party is Party.BUYER and placement.late and placement.status is ACTIVE):
        return "cancelled"
    if placement.cancel_requested_by is None:
        return "asked"
    return "repeat" if placement.cancel_requested_by == party.value else "cancelled"


def outcome(placement: Placement, decision: Decision) -> str:
    match decision:
        case Repeat():
            return "repeat"
        case Refusal():
            return "refused"
        case Step(to):
            return "cancelled" if to == CANCELLED else "asked" if to == placement.status else "wrong"


def test_cancelling_takes_both_sides_or_a_late_delivery_or_an_operator() -> None:
    seen = set()
    for placement, party in product(PLACEMENTS, PARTIES):
        found = outcome(placement, policy.cancel(placement, party))
        assert found == expected_of_cancel(placement, party), f"{party} on {placement}"
        seen.add(found)
    assert seen == {"repeat", "refused", "cancelled", "asked"}


def test_allowed_actions_are_those_whose_decision_is_a_step() -> None:
    for placement, party in product(PLACEMENTS, PARTIES):
        steps = [action for action, decide in DECIDE.items() if isinstance(decide(placement, party), Step)]
        assert list(policy.allowed_actions(placement, party)) == steps


def test_nothing_is_allowed_once_it_is_over() -> None:
    for placement, party in product(PLACEMENTS, PARTIES):
        if placement.status in (COMPLETED, CANCELLED):
            assert policy.allowed_actions(placement, party) == ()


def test_every_case_was_looked_at() -> None:
    assert len(EVERY) == 16 * 4 * 3
