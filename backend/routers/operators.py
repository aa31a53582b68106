"""What operators see of the whole floor, and what they do to accounts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.dependencies.documentation import IF_MATCH, headers, problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import EmptyIsNone, Paged, given
from backend.dependencies.routes import Route
from backend.models.events import ActorRole, SubjectType
from backend.models.users import Role
from backend.schemas.base import Label, Moment, ShortText
from backend.schemas.events import ClientDigest, EventOut, RequestId
from backend.schemas.operators import InvariantOut, ManagedUserOut, ManagedUserPatch, OverviewOut
from backend.services import invariants, operators, security

router = APIRouter(route_class=Route, tags=["Operations"])


@router.get(
    "/operator/overview",
    operation_id="getOverview",
    summary="The floor at a glance",
    response_model=OverviewOut,
    responses=problems(401, 403),
)
async def overview(doors: Doors) -> Response:
    """Active users by role, slots, bids and commitments by status, holds that end within a day, late deliveries."""
    return await doors.read(operators.overview)


@router.get(
    "/operator/events",
    operation_id="listEvents",
    summary="The record",
    response_model=list[EventOut],
    responses=problems(401, 403),
)
async def find_events(
    doors: Doors,
    page: Paged,
    actor_id: Annotated[UUID | None, EmptyIsNone, Query(alias="actorId")] = None,
    actor_role: Annotated[ActorRole | None, EmptyIsNone, Query(alias="actorRole")] = None,
    subject_type: Annotated[SubjectType | None, EmptyIsNone, Query(alias="subjectType")] = None,
    subject_id: Annotated[UUID | None, EmptyIsNone, Query(alias="subjectId")] = None,
    action: Annotated[Label | None, EmptyIsNone, Query(description="Such as `bid.approved`.")] = None,
    client: Annotated[
        ClientDigest | None, EmptyIsNone, Query(description="Where from, as `data.client` of a line tells it.")
    ] = None,
    request_id: Annotated[
        RequestId | None, EmptyIsNone, Query(alias="requestId", description="The `X-Request-ID` of an answer.")
    ] = None,
    since: Annotated[Moment | None, EmptyIsNone, Query(description="From this time on.")] = None,
    until: Annotated[Moment | None, EmptyIsNone, Query(description="Before this time.")] = None,
) -> Response:
    """Who did what, when, newest first: deals and accounts, sign-ins, refusals and exports.

    Refusals that are alike are one line a minute, with `data.count`.
    """
    filters = given(
        actor_id=actor_id,
        actor_role=actor_role,
        subject_type=subject_type,
        subject_id=subject_id,
        action=action,
        client=client,
        request_id=request_id,
        since=since,
        until=until,
    )
    return await doors.read(security.find_all, filters, page)


@router.get(
    "/operator/invariants",
    operation_id="checkInvariants",
    summary="What must hold whatever happens",
    response_model=list[InvariantOut],
    responses=problems(401, 403),
)
async def check_invariants(doors: Doors) -> Response:
    """Each rule of the deals, counted over all rows. `violations` is 0."""
    return await doors.read(invariants.find_all)


@router.get(
    "/operator/users",
    operation_id="listUsers",
    summary="Accounts",
    response_model=list[ManagedUserOut],
    responses=problems(401, 403),
)
async def find_users(
    doors: Doors,
    page: Paged,
    q: Annotated[
        ShortText | None, EmptyIsNone, Query(description="Words of a name or an address, the last may be a beginning.")
    ] = None,
    role: Annotated[Role | None, EmptyIsNone, Query()] = None,
    is_active: Annotated[bool | None, EmptyIsNone, Query(alias="isActive")] = None,
) -> Response:
    """Every account, newest first."""
    return await doors.read(operators.find_users, given(q=q, role=role, is_active=is_active), page)


@router.patch(
    "/operator/users/{user_id}",
    operation_id="setUserActive",
    summary="Deactivate an account, or let it in again",
    response_model=ManagedUserOut,
    responses=problems(400, 401, 404, 409, 412, 413, 415),
    openapi_extra=headers(IF_MATCH),
)
async def set_active(user_id: UUID, body: ManagedUserPatch, doors: Doors) -> Response:
    """Deactivation ends the account's sessions and its live deals. Commitments stay and wait for an operator."""
    return await doors.do(operators.set_active, user_id, body, doors.if_match)
