"""What the service says of itself."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.schemas.base import Out


class HealthOut(Out):
    """Whether the service and its database are there."""

    status: Literal["ok", "degraded"]
    db: Literal["connected", "unreachable"]


class LiveOut(Out):
    """That the process answers; the database is not asked."""

    status: Literal["ok"]


class TransitionOut(BaseModel):
    """One arrow of a transition table: `actors` may take `action` in `from` and it leads to `to`."""

    model_config = ConfigDict(extra="forbid")

    action: str
    actors: list[str]
    sources: list[str] = Field(alias="from")
    to: str


class MachineOut(Out):
    """The states of a noun and the transitions between them."""

    states: list[str]
    transitions: list[TransitionOut]


class MetaOut(Out):
    """The closed sets of this installation."""

    name: str
    version: str
    currency: str
    enums: dict[str, list[str]]
    machines: dict[str, MachineOut]
