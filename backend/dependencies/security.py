"""What of a request is counted for the record of security (decision 96)."""

from __future__ import annotations

from fastapi import Request

from backend.core import clock
from backend.core.errors import Problem
from backend.core.logging import request_id
from backend.core.proxies import client_digest
from backend.core.tally import Tally
from backend.dependencies.doors import address_of
from backend.models.users import Role
from backend.policies.security import Caller, Sighting, seen, sighting_of
from backend.policies.users import Actor

# Different lines a minute and process; what is more is counted together in one.
MOST_A_MINUTE = 300


def caller_of(request: Request) -> Caller:
    """Who makes this request, as far as it has been judged."""
    state, client = request.scope["state"], client_digest(request.app.state.secret, address_of(request))
    return Caller(state.get("actor"), state.get("user_id"), client)


def note_refusal(request: Request, problem: Problem) -> None:
    """Count a refusal, when it is one for the record: an entry in memory, nothing that could wait or fail."""
    operation = request.scope["state"].get("route")
    if operation is not None:
        _note(request, sighting_of(problem, caller_of(request), operation))


def note_reading(request: Request) -> None:
    """Count what an operator was shown: they see everything, so that they looked is on the record."""
    actor: Actor | None = request.scope["state"].get("actor")
    if actor is not None and actor.role is Role.OPERATOR and request.method == "GET":
        _note(request, seen("operator.read", request.scope["state"]["route"], caller_of(request)))


def _note(request: Request, sighting: Sighting | None) -> None:
    tally: Tally[Sighting] = request.app.state.tally
    if sighting is not None:
        tally.add(sighting, clock.now(), request_id())
