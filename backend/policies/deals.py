"""What the decisions about a deal share: who acts, and what a decision answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from backend.core.errors import Conflict, Forbidden, Invalid
from backend.core.transitions import Machine
from backend.models.bids import Side
from backend.models.users import Role
from backend.policies.users import Actor


class Party(StrEnum):
    """Who acts on a deal, as the transition tables name them."""

    CREATOR = "creator"
    BUYER = "buyer"
    OPERATOR = "operator"
    SYSTEM = "system"


class HoldChange(StrEnum):
    """What a step does to the hold on the slot."""

    KEEP = "keep"
    TAKE = "take"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Step:
    """Yes: the state it leads to, and what happens to the hold."""

    to: str
    hold: HoldChange = HoldChange.KEEP


@dataclass(frozen=True, slots=True)
class Repeat:
    """Done already: the same answer again, and no second effect."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, and why: a stable code and a sentence."""

    code: str
    detail: str


Decision = Step | Repeat | Refusal


def party_of(actor: Actor, creator_id: UUID, buyer_id: UUID) -> Party:
    """Which party a caller is who may see the deal."""
    if actor.id == creator_id:
        return Party.CREATOR
    return Party.BUYER if actor.id == buyer_id else Party.OPERATOR


def must_act(machine: Machine, action: str, party: Party) -> None:
    """Raises Forbidden when the table never lets this party take the action, whatever the state."""
    if party.value not in machine.actors(action):
        takers = " or ".join(sorted(machine.actors(action) - {"operator", "system"}))
        raise Forbidden(f"Only the {takers} of this deal may do this.", code="wrong_party")


def must_name_side(actor: Actor, on_behalf_of: Side | None, sides: Sequence[Side]) -> None:
    """An operator says for which side it acts, and nobody else does. Raises Invalid."""
    if actor.role is not Role.OPERATOR:
        if on_behalf_of is not None:
            raise Invalid.field("onBehalfOf", "is for operators only")
    elif on_behalf_of is None:
        raise Invalid.field("onBehalfOf", "an operator says for which side it acts, and why")
    elif on_behalf_of not in sides:
        allowed = " or ".join(side.value for side in sides)
        raise Invalid.field("onBehalfOf.side", f"this action is the {allowed}'s")


def must(decision: Decision, status: str, allowed_actions: Sequence[str], **more: Any) -> Step | None:
    """The step, or None for a repeat. Raises Conflict with the current status and what is allowed instead."""
    match decision:
        case Step():
            return decision
        case Repeat():
            return None
        case Refusal(code, detail):
            raise Conflict(detail, code=code, currentStatus=status, allowedActions=list(allowed_actions), **more)
