"""Commitments."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import EmptyIsNone, Paged, given
from backend.dependencies.routes import Route
from backend.models.commitments import CommitmentStatus
from backend.schemas.commitments import CommitmentOut
from backend.services import commitments

router = APIRouter(route_class=Route, tags=["Commitments"])


@router.get(
    "/commitments",
    operation_id="listCommitments",
    summary="Commitments",
    response_model=list[CommitmentOut],
    responses=problems(401),
)
async def find_all(
    doors: Doors,
    page: Paged,
    status: Annotated[CommitmentStatus | None, EmptyIsNone, Query()] = None,
    project_id: Annotated[UUID | None, EmptyIsNone, Query(alias="projectId")] = None,
) -> Response:
    """A buyer's own; for a creator those on own projects; for operators all. Newest first."""
    return await doors.read(commitments.find_all, given(status=status, project_id=project_id), page)


@router.get(
    "/commitments/{commitment_id}",
    operation_id="getCommitment",
    summary="One commitment",
    response_model=CommitmentOut,
    responses=problems(401, 404),
)
async def get(commitment_id: UUID, doors: Doors) -> Response:
    """One commitment of a deal you are part of."""
    return await doors.read(commitments.get, commitment_id)
