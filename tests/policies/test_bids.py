"""The pure decisions about a bid, for every state, action and caller, against the transition table and deals.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest

from backend.models.bids import BID_MACHINE, CREATOR_REASONS, LIVE, BidStatus, DeclineReason, Side
from backend.models.slots import Modality, SlotStatus
from backend.policies import bids as policy
from backend.policies.bids import Deal, Hold, Offer
from backend.policies.deals import Decision, HoldChange, Party, Refusal, Repeat, Step

AMOUNT = FLOOR = Decimal(1000)
ACTIONS = ("terms", "approve", "decline", "withdraw", "commit")
PARTIES = (Party.CREATOR, Party.BUYER, Party.OPERATOR)


def must_hold(deal: Deal) -> bool:
    """deals.md, "A bid takes the hold": when the creator approves it, or when it is placed on a reservation."""
    live = deal.status in LIVE and (deal.modality is Modality.RESERVATION or deal.creator_approved)
    return live or deal.status is BidStatus.COMMITTED


def approvals(deal: Deal) -> int:
    return deal.creator_approved + deal.buyer_approved


COUNTS = {BidStatus.PENDING: 0, BidStatus.AWAITING: 1, BidStatus.ACCEPTED: 2, BidStatus.COMMITTED: 2}


def holds(deal: Deal) -> bool:
    """Whether I1–I3 allow this deal."""
    if deal.status is BidStatus.DECLINED:
        return deal.hold is not Hold.MINE
    return approvals(deal) == COUNTS[deal.status] and must_hold(deal) == (deal.hold is Hold.MINE)


def all_deals() -> Iterator[Deal]:
    for status, modality, creator, buyer, hold in product(BidStatus, Modality, (False, True), (False, True), Hold):
        for reason in DeclineReason if status is BidStatus.DECLINED else [None]:
            deal = Deal(status, reason, modality, 3, creator, buyer, hold)
            if holds(deal):
                yield deal


DEALS = list(all_deals())


def decide(action: str, deal: Deal, party: Party) -> Decision:
    match action:
        case "terms":
            return policy.terms(deal, party, deal.terms_version, AMOUNT, FLOOR)
        case "approve":
            return policy.approve(deal, party, deal.terms_version)
        case "decline":
            return policy.decline(deal, party, DeclineReason.PRICE)
        case "withdraw":
            return policy.withdraw(deal, party)
        case _:
            return policy.commit(deal, party, AMOUNT, AMOUNT)


def after(deal: Deal, action: str, party: Party, step: Step) -> Deal:
    """What the services write for a step."""
    hold = {HoldChange.KEEP: deal.hold, HoldChange.TAKE: Hold.MINE, HoldChange.RELEASE: Hold.FREE}[step.hold]
    deal = replace(deal, status=BidStatus(step.to), hold=hold)
    match action:
        case "terms":
            return replace(deal, terms_version=deal.terms_version + 1, creator_approved=False, buyer_approved=False)
        case "approve":
            if party is Party.CREATOR:
                return replace(deal, creator_approved=True)
            return replace(deal, buyer_approved=True)
        case "decline":
            return replace(deal, decline_reason=DeclineReason.PRICE)
        case "withdraw":
            return replace(deal, decline_reason=DeclineReason.WITHDRAWN)
        case _:
            return deal


EVERY = [(deal, action, party) for deal in DEALS for action in ACTIONS for party in PARTIES]


def test_there_are_hundreds_of_cases() -> None:
    assert len(EVERY) > 1000
    assert {deal.status for deal in DEALS} == set(BidStatus)


def test_every_decision_is_what_the_table_and_the_guards_say() -> None:
    for deal, action, party in EVERY:
        decision = decide(action, deal, party)
        target = BID_MACHINE.target(action, party, deal.status)
        case = f"{party} {action} on {deal}: {decision}"
        match decision:
            case Step():
                assert decision.to == target, case
            case Repeat():
                assert action != "terms", case
                assert done_already(deal, action, party), case
            case Refusal():
                blocked = (
                    action == "approve"
                    and party is Party.CREATOR
                    and deal.hold in (Hold.OTHER, Hold.SOLD)
                    and decision.code == "slot_locked"
                )
                assert target is None or blocked, case
                assert blocked or decision.code == "wrong_state", case
                assert not done_already(deal, action, party), case


def done_already(deal: Deal, action: str, party: Party) -> bool:
    declined = deal.status is BidStatus.DECLINED
    match action:
        case "approve":
            mine = deal.creator_approved if party is Party.CREATOR else deal.buyer_approved
            return not declined and mine
        case "decline":
            return declined and deal.decline_reason is DeclineReason.PRICE
        case "withdraw":
            return declined and deal.decline_reason is DeclineReason.WITHDRAWN
        case "commit":
            return deal.status is BidStatus.COMMITTED
        case _:
            return False


def test_every_step_leads_to_a_state_that_the_invariants_allow() -> None:
    steps = 0
    for deal, action, party in EVERY:
        decision = decide(action, deal, party)
        if isinstance(decision, Step) and party.value in BID_MACHINE.actors(action):
            then = after(deal, action, party, decision)
            assert holds(then), f"{party} {action} on {deal} leads to {then}"
            assert deal.hold is Hold.FREE or decision.hold is not HoldChange.TAKE
            steps += 1
    assert steps > 40


def test_an_action_repeated_right_away_is_a_repeat() -> None:
    for deal, action, party in EVERY:
        decision = decide(action, deal, party)
        if isinstance(decision, Step) and action != "terms" and party.value in BID_MACHINE.actors(action):
            again = decide(action, after(deal, action, party, decision), party)
            assert isinstance(again, Repeat), f"{party} {action} twice on {deal}: {again}"


def test_allowed_actions_are_those_whose_decision_is_a_step() -> None:
    for deal in DEALS:
        for party in PARTIES:
            steps = [action for action in ACTIONS if isinstance(decide(action, deal, party), Step)]
            assert list(policy.allowed_actions(deal, party)) == steps


def test_operators_never_consent_for_anybody() -> None:
    for deal in DEALS:
        assert set(policy.allowed_actions(deal, Party.OPERATOR)) <= {"decline", "withdraw"}


def test_nothing_is_allowed_on_a_declined_bid() -> None:
    for deal in DEALS:
        if deal.status is BidStatus.DECLINED:
            assert not any(policy.allowed_actions(deal, party) for party in PARTIES)


def test_a_stale_version_is_told_apart_from_a_wrong_state() -> None:
    for deal in DEALS:
        for party in (Party.CREATOR, Party.BUYER):
            stale = policy.approve(deal, party, deal.terms_version - 1)
            expected = "wrong_state" if deal.status is BidStatus.DECLINED else "terms_changed"
            assert isinstance(stale, Refusal)
            assert stale.code == expected
            if deal.status in (BidStatus.PENDING, BidStatus.AWAITING):
                terms = policy.terms(deal, party, deal.terms_version - 1, AMOUNT, FLOOR)
                assert isinstance(terms, Refusal)
                assert terms.code == "terms_changed"


def test_new_terms_below_the_floor_are_refused_in_every_open_state() -> None:
    for deal in DEALS:
        if deal.status in (BidStatus.PENDING, BidStatus.AWAITING):
            refusal = policy.terms(deal, Party.BUYER, deal.terms_version, FLOOR - Decimal("0.01"), FLOOR)
            assert isinstance(refusal, Refusal)
            assert refusal.code == "below_floor"


def test_commit_takes_exactly_what_both_approved() -> None:
    for deal in DEALS:
        decision = policy.commit(deal, Party.BUYER, AMOUNT + Decimal("0.01"), AMOUNT)
        assert isinstance(decision, Refusal)
        spent = deal.status in (BidStatus.ACCEPTED, BidStatus.COMMITTED)
        assert decision.code == ("amount_mismatch" if spent else "wrong_state")


@pytest.mark.parametrize("reason", [reason for reason in DeclineReason if reason not in CREATOR_REASONS])
def test_declining_what_ended_otherwise_is_no_repeat(reason: DeclineReason) -> None:
    deal = Deal(BidStatus.DECLINED, reason, Modality.AUCTION, 1, False, False, Hold.FREE)
    assert isinstance(policy.decline(deal, Party.CREATOR, reason), Refusal)


def expected_of_place(offer: Offer, amount: Decimal) -> set[str]:
    """Every reason that deals.md gives to refuse a placing."""
    reservation = offer.modality is Modality.RESERVATION
    reasons = {
        "slot_sold": offer.slot_status is SlotStatus.COMPLETED or offer.holder_committed,
        "already_bid": offer.has_bid,
        "slot_locked": reservation and offer.slot_status is SlotStatus.LOCKED,
        "bidding_closed": offer.bidding_closed,
        "below_floor": amount < offer.floor,
        "hold_cooldown": reservation and offer.cooling_down,
        "too_many_holds": reservation and offer.holds >= offer.max_holds,
    }
    return {code for code, applies in reasons.items() if applies}


def test_placing_is_refused_for_each_reason_and_for_no_other() -> None:
    seen: set[str] = set()
    for status, modality, flags in product(SlotStatus, Modality, product((False, True), repeat=6)):
        committed, closed, has_bid, cooling, held, below = flags
        offer = Offer(status, modality, committed, closed, FLOOR, has_bid, cooling, 2 if held else 0, 2)
        amount = FLOOR - Decimal("0.01") if below else FLOOR
        decision = policy.place(offer, amount)
        expected = expected_of_place(offer, amount)
        if isinstance(decision, Refusal):
            assert decision.code in expected
            seen.add(decision.code)
        else:
            assert not expected
            takes = modality is Modality.RESERVATION
            assert decision == Step(BidStatus.PENDING, HoldChange.TAKE if takes else HoldChange.KEEP)
    assert len(seen) == 7


def test_a_sealed_auction_that_is_held_takes_a_bid_that_stands_by() -> None:
    offer = Offer(SlotStatus.LOCKED, Modality.AUCTION, False, False, FLOOR, False, True, 99, 1)
    assert policy.place(offer, FLOOR) == Step(BidStatus.PENDING)


def test_sides_and_parties_have_the_same_names() -> None:
    assert [policy.side_of(Party.CREATOR), policy.side_of(Party.BUYER)] == list(Side)
    with pytest.raises(ValueError, match="operator"):
        policy.side_of(Party.OPERATOR)
