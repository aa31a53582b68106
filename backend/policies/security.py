"""What of a refusal goes on the record, and about whom."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from backend.core.errors import Problem
from backend.models.events import ActorRole
from backend.policies.users import Actor

# Refusals by their code: somebody tried to be somebody.
_BY_CODE = {
    "wrong_credentials": "session.refused",
    "invalid_state": "session.refused",
    "invalid_sign_in_code": "session.refused",
    "provider_refused": "session.refused",
    "address_not_confirmed": "session.refused",
    "another_identity_linked": "session.refused",
    "account_inactive": "session.refused",
    "operator_needs_password": "session.refused",
    "wrong_password": "password.refused",
    "invalid_reset_token": "password.refused",
    "invalid_token": "token.refused",
    "invalid_link": "token.refused",
    "invalid_verification_token": "token.refused",
    "refresh_token_used": "token.refused",
}
# The others by their status: a known caller asked for what is not theirs to do, or there is not for them; too much.
_BY_STATUS = {403: "access.refused", 404: "access.not_found", 429: "access.limited"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who was refused, as far as it is known, and the keyed digest of where from."""

    actor: Actor | None
    user_id: UUID | None
    client: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """Something seen that is counted on the record: two that are equal are one line a minute."""

    action: str
    operation: str | None
    code: str | None
    actor_id: UUID | None
    actor_role: str
    subject_id: UUID | None
    client: str | None


def sighting_of(problem: Problem, caller: Caller, operation: str) -> Sighting | None:
    """The line for a refusal; None for one that says nothing about anybody's doings.

    Its subject is the account that was meant (`problem.about`), else the caller; nobody when neither is known. What
    was asked is told by the operation, not by the ids in its path: those would let one caller fill the record. A 404
    counts for a known caller alone, since it may be another's thing that they ask for.
    """
    action = _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status)
    if action is None or (problem.status == 404 and caller.actor is None):
        return None
    return seen(action, operation, caller, code=problem.code, about=problem.about)


def seen(
    action: str, operation: str, caller: Caller, *, code: str | None = None, about: UUID | None = None
) -> Sighting:
    """A line about what a caller did in this operation."""
    actor = caller.actor
    return Sighting(
        action,
        operation,
        code,
        actor.id if actor else None,
        actor.role.value if actor else ActorRole.ANONYMOUS.value,
        about or (actor.id if actor else caller.user_id),
        caller.client,
    )
