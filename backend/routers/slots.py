"""Slots and who is invited to the private ones."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field, WithJsonSchema

from backend.core.money import MAX
from backend.dependencies.documentation import IDEMPOTENCY_KEY, IF_MATCH, headers, problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import EmptyIsNone, Paged, given
from backend.dependencies.routes import Route
from backend.models.scenes import SceneStatus
from backend.models.slots import Modality, SlotStatus, Visibility
from backend.schemas.base import Label, ShortText
from backend.schemas.slots import InviteesIn, InviteesOut, SlotIn, SlotKind, SlotOut, SlotPatch, SlotSort
from backend.services import slots

router = APIRouter(route_class=Route, tags=["Slots"])

# Constraints stand inside the union: an empty filter is None before they are asked.
Price = Annotated[
    Decimal,
    Field(ge=0, le=MAX, max_digits=14, decimal_places=2),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": float(MAX), "multipleOf": 0.01}),
]


@router.post(
    "/slots",
    operation_id="createSlot",
    summary="Tag a slot in a script",
    status_code=201,
    response_model=SlotOut,
    responses=problems(400, 401, 403, 413, 415),
    openapi_extra=headers(IDEMPOTENCY_KEY),
)
async def create(body: SlotIn, doors: Doors) -> Response:
    """A new slot in one of your projects."""
    return await doors.make(slots.create, body)


@router.get(
    "/slots",
    operation_id="listSlots",
    summary="Discover slots",
    response_model=list[SlotOut],
    responses=problems(401),
)
async def find_all(
    doors: Doors,
    page: Paged,
    genre: Annotated[Label | None, EmptyIsNone, Query(description="Letter case is ignored.")] = None,
    type: Annotated[SlotKind | None, EmptyIsNone, Query(description="A type, or a modality's name.")] = None,  # noqa: A002 the contract's name
    modality: Annotated[Modality | None, EmptyIsNone, Query()] = None,
    status: Annotated[SlotStatus | None, EmptyIsNone, Query()] = None,
    visibility: Annotated[Visibility | None, EmptyIsNone, Query()] = None,
    project_id: Annotated[UUID | None, EmptyIsNone, Query(alias="projectId")] = None,
    scene_id: Annotated[UUID | None, EmptyIsNone, Query(alias="sceneId")] = None,
    scene_status: Annotated[SceneStatus | None, EmptyIsNone, Query(alias="sceneStatus")] = None,
    min_price: Annotated[Price | None, EmptyIsNone, Query(alias="minPrice", description="Lowest floor.")] = None,
    max_price: Annotated[Price | None, EmptyIsNone, Query(alias="maxPrice", description="Highest floor.")] = None,
    q: Annotated[
        ShortText | None,
        EmptyIsNone,
        Query(description="Words in scene, description or project title, the last may be a beginning."),
    ] = None,
    sort: Annotated[SlotSort, Query()] = SlotSort.NEWEST,
) -> Response:
    """A creator's own; for buyers the public ones and those they are invited to or have a bid on; for operators all."""
    filters = given(
        genre=genre,
        type=type,
        modality=modality,
        status=status,
        visibility=visibility,
        project_id=project_id,
        scene_id=scene_id,
        scene_status=scene_status,
        min_price=min_price,
        max_price=max_price,
        q=q,
    )
    return await doors.read(slots.find_all, filters, sort, page)


@router.get(
    "/slots/{slot_id}", operation_id="getSlot", summary="One slot", response_model=SlotOut, responses=problems(401, 404)
)
async def get(slot_id: UUID, doors: Doors) -> Response:
    """One slot that you may see."""
    return await doors.read(slots.get, slot_id)


@router.patch(
    "/slots/{slot_id}",
    operation_id="changeSlot",
    summary="Change a slot",
    response_model=SlotOut,
    responses=problems(400, 401, 403, 404, 409, 412, 413, 415),
    openapi_extra=headers(IF_MATCH),
)
async def patch(slot_id: UUID, body: SlotPatch, doors: Doors) -> Response:
    """Fields left out stay. What bidders bid on is frozen while a live bid exists; the floor moves while Available."""
    return await doors.do(slots.patch, slot_id, body, doors.if_match)


@router.delete(
    "/slots/{slot_id}",
    operation_id="deleteSlot",
    summary="Delete a slot",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 409, 412),
    openapi_extra=headers(IF_MATCH),
)
async def remove(slot_id: UUID, doors: Doors) -> Response:
    """The slot leaves every list; live bids on it end. Refused while a bid holds it."""
    return await doors.do(slots.remove, slot_id, doors.if_match)


@router.get(
    "/slots/{slot_id}/invitees",
    operation_id="getInvitees",
    summary="Who may see a private slot",
    response_model=InviteesOut,
    responses=problems(401, 403, 404),
)
async def invitees(slot_id: UUID, doors: Doors) -> Response:
    """The invited buyers, in the order of their invitation."""
    return await doors.read(slots.invitees, slot_id)


@router.put(
    "/slots/{slot_id}/invitees",
    operation_id="setInvitees",
    summary="Invite buyers to a private slot",
    response_model=InviteesOut,
    responses=problems(400, 401, 403, 404, 412, 413, 415),
    openapi_extra=headers(IF_MATCH),
)
async def invite(slot_id: UUID, body: InviteesIn, doors: Doors) -> Response:
    """Exactly these buyers are invited from now on; find them with `GET /buyers`."""
    return await doors.do(slots.invite, slot_id, body.user_ids, doors.if_match)
