"""The sums of the financing dashboard."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backend.models.users import Role
from backend.schemas.base import Out


class ProjectStats(Out):
    """What is committed to one project. `fundedRatio` is committed / budgetTarget; null for a buyer, or without one."""

    project_id: UUID
    title: str
    budget_target: Decimal
    committed: Decimal
    completed: Decimal
    pipeline: Decimal
    funded_ratio: Decimal | None


class MonthStats(Out):
    """What was committed in one month (UTC), `YYYY-MM`."""

    month: str
    committed: Decimal


class UserStats(Out):
    """What one buyer spends."""

    user_id: UUID
    name: str
    role: Role
    committed: Decimal
    completed: Decimal
    pipeline: Decimal


class StatsOut(Out):
    """Sums over the commitments that are not cancelled; `pipeline` sums the holders that are not committed yet."""

    total_committed: Decimal
    total_completed: Decimal
    pipeline: Decimal
    commitment_count: int
    by_project: list[ProjectStats]
    by_month: list[MonthStats]


class OperatorStatsOut(StatsOut):
    """The same for operators, with every buyer."""

    by_user: list[UserStats]
