"""Whether the database answers, and what the service says of itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import literal, select

from backend.core.config import Settings
from backend.core.database import Database
from backend.core.errors import Unavailable
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement
from backend.core.version import NAME, VERSION
from backend.models.bids import BID_MACHINE, BidStatus, DeclineReason, Side
from backend.models.commitments import COMMITMENT_MACHINE, CommitmentStatus
from backend.models.projects import Gender
from backend.models.scenes import SceneStatus, ScriptStatus
from backend.models.slots import SLOT_MACHINE, Modality, SlotStatus, SlotType, Visibility
from backend.models.users import Role

_PING = Statement(select(literal(1)))
_ENUMS: tuple[type[StrEnum], ...] = (
    Role,
    Gender,
    SlotStatus,
    SlotType,
    Modality,
    Visibility,
    ScriptStatus,
    SceneStatus,
    BidStatus,
    DeclineReason,
    Side,
    CommitmentStatus,
)


async def database_answers(database: Database) -> bool:
    """Whether a connection is to be had and answers, each within `DB_WAIT_SECONDS`: who watches is told soon."""
    try:
        async with database.reading(database.settings.db_wait_seconds) as db:
            return bool(await _PING.value(db))
    except Unavailable:
        return False


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def meta(settings: Settings) -> Reply:
    """The closed sets of this installation, and the transition tables that enforce."""
    value: dict[str, Any] = {
        "name": NAME,
        "version": VERSION,
        "currency": settings.currency,
        "enums": {_camel(each.__name__): [member.value for member in each] for each in _ENUMS},
        "machines": {machine.name: machine.describe() for machine in (BID_MACHINE, SLOT_MACHINE, COMMITMENT_MACHINE)},
    }
    return Reply(encode(value))
