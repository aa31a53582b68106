"""Commitments."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.dependencies.documentation import IDEMPOTENCY_KEY, headers, problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import EmptyIsNone, Paged, given
from backend.dependencies.routes import Route
from backend.models.commitments import CommitmentStatus
from backend.schemas.commitments import CommitmentOut, ConfirmIn, DeliverIn, ReasonIn
from backend.services import commitments, fulfilment

router = APIRouter(route_class=Route, tags=["Commitments"])

CHANGE = problems(400, 401, 403, 404, 409, 413, 415)
KEY = headers(IDEMPOTENCY_KEY)


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


@router.post(
    "/commitments/{commitment_id}/deliver",
    operation_id="deliver",
    summary="Deliver the placement",
    response_model=CommitmentOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def deliver(commitment_id: UUID, body: DeliverIn, doors: Doors) -> Response:
    """The creator shows the placement with a link or a note; the buyer has until `confirmBy` to reject it."""
    return await doors.do(fulfilment.deliver, commitment_id, body)


@router.post(
    "/commitments/{commitment_id}/confirm",
    operation_id="confirmDelivery",
    summary="Confirm the delivery",
    response_model=CommitmentOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def confirm(commitment_id: UUID, doors: Doors, body: ConfirmIn | None = None) -> Response:
    """The buyer's yes: commitment and slot are Completed. After `confirmBy` the clock says it."""
    return await doors.do(fulfilment.confirm, commitment_id, body or ConfirmIn())


@router.post(
    "/commitments/{commitment_id}/reject",
    operation_id="rejectDelivery",
    summary="Reject the delivery",
    response_model=CommitmentOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def reject(commitment_id: UUID, body: ReasonIn, doors: Doors) -> Response:
    """The buyer says what is missing, as a comment; the commitment is Active again."""
    return await doors.do(fulfilment.reject, commitment_id, body)


@router.post(
    "/commitments/{commitment_id}/cancel",
    operation_id="cancelCommitment",
    summary="Cancel, or ask to",
    response_model=CommitmentOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def cancel(commitment_id: UUID, body: ReasonIn, doors: Doors) -> Response:
    """The first side asks, the second cancels; the buyer alone may when nothing was delivered by `deliverBy`."""
    return await doors.do(fulfilment.cancel, commitment_id, body)
