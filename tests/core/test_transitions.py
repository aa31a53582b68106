"""The tables of transitions: what they list happens, what they do not list never does."""

from __future__ import annotations

import importlib.util
from enum import StrEnum
from pathlib import Path

import pytest

from backend.core.transitions import Machine, Transition
from backend.models.bids import BID_MACHINE
from backend.models.commitments import COMMITMENT_MACHINE
from backend.models.slots import SLOT_MACHINE

MACHINES = [BID_MACHINE, SLOT_MACHINE, COMMITMENT_MACHINE]
VERSIONS = Path(__file__).resolve().parents[2] / "alembic" / "versions"


class Light(StrEnum):
    """A machine small enough to see whole."""

    RED = "Red"
    GREEN = "Green"


LIGHT = Machine(
    "light",
    Light,
    [Transition("make", ("maker",), (), Light.RED), Transition("go", ("driver",), (Light.RED,), Light.GREEN)],
)


def test_a_machine_leads_only_where_its_table_says() -> None:
    assert LIGHT.target("go", "driver", "Red") == "Green"
    assert LIGHT.target("go", "driver", "Green") is None
    assert LIGHT.target("go", "maker", "Red") is None
    assert LIGHT.target("make", "maker", None) == "Red"
    assert LIGHT.target("make", "maker", "Red") is None
    assert LIGHT.actors("go") == {"driver"}
    assert LIGHT.steps() == {("Red", "Green")}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_state_can_be_reached_and_every_name_is_known(machine: Machine) -> None:
    reached = {arrow.target for arrow in machine.transitions}
    states = {state.value for state in machine.states}
    begins = "Available" if machine.name == "slot" else None
    assert reached | {begins} >= states
    for arrow in machine.transitions:
        assert {arrow.target, *arrow.sources} <= states
        assert set(arrow.actors) <= {"creator", "buyer", "operator", "system"}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_row_trigger_knows_the_same_steps(machine: Machine) -> None:
    """The migration that guards has its own list; the two say the same."""
    path = next(VERSIONS.glob("*_guard_deals.py"))
    spec = importlib.util.spec_from_file_location("guard_deals", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.STEPS[f"{machine.name}s"]) == machine.steps()


def test_nobody_consents_for_another() -> None:
    """Operators never place, change terms, approve or commit (deals.md)."""
    for action in ("place", "terms", "approve", "commit"):
        assert "operator" not in BID_MACHINE.actors(action)
