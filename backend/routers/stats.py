"""The financing dashboard."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors
from backend.dependencies.routes import Route
from backend.schemas.stats import OperatorStatsOut, StatsOut
from backend.services import stats

router = APIRouter(route_class=Route, tags=["Commitments"])


@router.get(
    "/commitments/stats",
    operation_id="getStats",
    summary="The financing dashboard",
    response_model=StatsOut | OperatorStatsOut,
    responses=problems(401),
)
async def get(doors: Doors) -> Response:
    """Sums over a creator's own projects, a buyer's own spend, or for operators everything (with `byUser`).

    Cancelled commitments count nowhere. `pipeline` sums the bids that hold a slot and are not committed yet.
    """
    return await doors.read(stats.find)
