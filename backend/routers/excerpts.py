"""What is shown of a script to those who are not to read it."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors
from backend.dependencies.downloads import PDF, attachment, file
from backend.dependencies.routes import Route
from backend.schemas.excerpts import ExcerptOut
from backend.services import excerpts

router = APIRouter(route_class=Route)


@router.get(
    "/slots/{slot_id}/excerpt",
    operation_id="getSlotExcerpt",
    summary="What a slot shows of its scene",
    response_model=ExcerptOut,
    responses=problems(401, 404),
    tags=["Slots"],
)
async def of_slot(slot_id: UUID, doors: Doors) -> Response:
    """The scene's heading, its page, and a few lines around what was suggested; for whoever may see the slot.

    A slot that was tagged by hand shows the heading alone. The creator sees who has read it.
    """
    return await doors.do(excerpts.of_slot, slot_id)


@router.get(
    "/bids/{bid_id}/excerpt",
    operation_id="getExcerpt",
    summary="The excerpt of a deal's scene, watermarked",
    response_class=Response,
    responses={200: file("The excerpt, as an attachment.", PDF), **problems(401, 404, 409)},
    tags=["Deals"],
)
async def of_bid(bid_id: UUID, doors: Doors) -> Response:
    """A PDF of what the slot shows of the scene that the current terms are about, while the bid lives or is Committed.

    Across it stand the reader's name, the time and the request's id; the creator sees who has read it.
    """
    excerpt = await doors.change_signed_in(excerpts.of_bid, bid_id)
    return Response(await excerpts.render(excerpt), headers=attachment(excerpt.file_name, PDF))
