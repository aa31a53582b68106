"""Matches of slots and SKUs, with their reasons."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import Paged
from backend.dependencies.routes import Route
from backend.schemas.matches import SkuMatchOut, SlotMatchOut
from backend.services import matches

router = APIRouter(route_class=Route, tags=["Matches"])

Failing = Annotated[bool, Query(description="Those that break a rule, instead of those that keep all.")]


@router.get(
    "/skus/{sku_id}/matches",
    operation_id="matchSlots",
    summary="Slots that fit a SKU",
    response_model=list[SlotMatchOut],
    responses=problems(401, 404),
)
async def find_slots(sku_id: UUID, doors: Doors, page: Paged, failing: Failing = False) -> Response:
    """For one of your SKUs the slots that you may see, best first, with the verdict of every rule and the words in
    common. The best 200 are weighed."""
    return await doors.read(matches.find_slots, sku_id, page, failing=failing)


@router.get(
    "/slots/{slot_id}/matches",
    operation_id="matchSkus",
    summary="SKUs that fit a slot",
    response_model=list[SkuMatchOut],
    responses=problems(401, 404),
)
async def find_skus(slot_id: UUID, doors: Doors, page: Paged, failing: Failing = False) -> Response:
    """For one of your slots the SKUs of merchants who allow matching; for buyers their own SKUs. Best first, with the
    verdict of every rule and the words in common."""
    return await doors.read(matches.find_skus, slot_id, page, failing=failing)
