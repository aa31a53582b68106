"""State machines as data: which action leads from which states to which, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Transition:
    """One arrow: `actor` may take `action` in any of `sources`, and it ends in `target`."""

    action: str
    actors: tuple[str, ...]
    sources: tuple[str, ...]
    target: str


class Machine:
    """The transition table of one noun. What it does not list may never happen."""

    def __init__(self, name: str, states: type[StrEnum], transitions: Iterable[Transition]) -> None:
        self.name = name
        self.states = states
        self.transitions = tuple(transitions)
        self.actions = tuple(dict.fromkeys(arrow.action for arrow in self.transitions))

    def target(self, action: str, actor: str, source: str | None) -> str | None:
        """Where the table leads this actor's action from this state (None: from nothing); None when nowhere."""
        for arrow in self.transitions:
            starts = source in arrow.sources or (source is None and not arrow.sources)
            if starts and arrow.action == action and actor in arrow.actors:
                return arrow.target
        return None

    def actors(self, action: str) -> set[str]:
        """Everyone who may ever take the action."""
        return {actor for arrow in self.transitions if arrow.action == action for actor in arrow.actors}

    def steps(self) -> set[tuple[str, str]]:
        """Every (from, to) that some action may cause: what the row trigger in PostgreSQL permits."""
        return {
            (source, arrow.target) for arrow in self.transitions for source in arrow.sources if source != arrow.target
        }

    def describe(self) -> dict[str, Any]:
        """The table as JSON for `GET /meta`."""
        return {
            "states": [state.value for state in self.states],
            "transitions": [
                {
                    "action": arrow.action,
                    "actors": list(arrow.actors),
                    "from": list(arrow.sources),
                    "to": arrow.target,
                }
                for arrow in self.transitions
            ],
        }
