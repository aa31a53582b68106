"""One identity's run: Schemathesis' own engine with all its phases and checks, and what it found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis import engine
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events
from schemathesis.schemas import BaseSchema

from tests.fuzz import hands
from tests.fuzz.exclusions import AFTER_ALL, REFUSED, filter_failure

__all__ = ["Outcome", "filter_failure", "hands", "run"]  # the hooks work by being imported

_SHOWN = 400


@dataclass(slots=True)
class Outcome:
    """How many requests were judged, how they were answered, and one example of every kind of failure."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Count another run in."""
        self.cases += other.cases
        self.statuses.update(other.statuses)
        self.failures = {**other.failures, **self.failures}


PHASES = ("examples", "coverage", "fuzzing", "stateful")


def configured(
    url: str, token: str | None, *, most: int, seed: int, phases: tuple[str, ...] = PHASES
) -> SchemathesisConfig:
    """All checks; `most` cases an operation and phase; nothing is kept from run to run."""
    return SchemathesisConfig.from_dict(
        {
            "base-url": url,
            "headers": {"Authorization": f"Bearer {token}"} if token else {},
            "seed": seed,
            "continue-on-failure": True,
            "request-timeout": 30,
            "suppress-health-check": ["all"],
            "generation": {"max-examples": most, "no-shrink": True, "database": "none"},
            "checks": {
                "positive_data_acceptance": {"expected-statuses": AFTER_ALL},
                "negative_data_rejection": {"expected-statuses": REFUSED},
            },
            "phases": {name: {"enabled": name in phases} for name in PHASES},
        }
    )


def run(document: dict[str, Any], config: SchemathesisConfig, wanted: Callable[[str], bool]) -> Outcome:
    """Run the engine against a served process, for the operations that are wanted by their ids."""
    schema: BaseSchema = schemathesis.openapi.from_dict(document, config=config)
    schema = schema.include(lambda ctx: wanted(ctx.operation.definition.raw["operationId"]))
    outcome = Outcome()
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _count(outcome, event.recorder)
        elif isinstance(event, events.NonFatalError):
            outcome.failures[event.label, "error"] = str(event.value)
        elif isinstance(event, events.FatalError):
            outcome.failures["engine", "error"] = str(event.exception)
    return outcome


def _count(outcome: Outcome, recorder: Any) -> None:
    outcome.cases += len(recorder.interactions)
    for each in recorder.interactions.values():
        outcome.statuses[each.response.status_code if each.response else 0] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                told = _told(failure.message, recorder.interactions.get(case_id))
                outcome.failures.setdefault((failure.operation, check.name), told)


def _told(message: str, interaction: Any) -> str:
    """A failure with its request and answer, short enough to read."""
    if interaction is None:
        return str(message)
    request, response = interaction.request, interaction.response
    answer = f"{response.status_code} {response.content[:_SHOWN]!r}" if response else "no answer"
    return (
        f"{message}\n    > {request.method} {request.uri[:_SHOWN]} {(request.body or b'')[:_SHOWN]!r}\n    < {answer}"
    )
