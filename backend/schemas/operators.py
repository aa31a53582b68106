"""What operators see and do."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from pydantic import StrictBool

from backend.models.bids import BidStatus
from backend.models.commitments import CommitmentStatus
from backend.models.slots import SlotStatus
from backend.models.users import Role
from backend.schemas.base import In, Out
from backend.schemas.bids import BidListed
from backend.schemas.commitments import CommitmentOut


class CountOut(Out):
    """How many commitments, and how much they come to."""

    count: int
    amount: Decimal


class OverviewOut(Out):
    """The floor at a glance. Every state is there, with 0 when nothing is in it; overdue counts as ended."""

    users_by_role: dict[Role, int]
    slots_by_status: dict[SlotStatus, int]
    bids_by_status: dict[BidStatus, int]
    commitments_by_status: dict[CommitmentStatus, CountOut]
    holds_ending_soon: list[BidListed]
    deliveries_overdue: list[CommitmentOut]


class InvariantOut(Out):
    """Something that must hold whatever happens, and how often it does not."""

    id: str
    statement: str
    violations: int


class ManagedUserOut(Out):
    """An account as operators see it. `deletedAt` is set when its owner left; such an account stays inactive."""

    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: datetime
    deleted_at: datetime | None


class ManagedUserPatch(In):
    """Deactivate an account, or let it in again."""

    is_active: StrictBool
