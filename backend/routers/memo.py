"""The deal memo."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors
from backend.dependencies.downloads import attachment
from backend.dependencies.routes import Route
from backend.services import memo

router = APIRouter(route_class=Route, tags=["Deals"])

PDF = "application/pdf"


@router.get(
    "/bids/{bid_id}/memo",
    operation_id="getMemo",
    summary="The deal memo",
    response_class=Response,
    responses={
        200: {
            "description": "The memo, as an attachment.",
            "content": {PDF: {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(401, 404, 409),
    },
)
async def get(bid_id: UUID, doors: Doors) -> Response:
    """A PDF of the terms that both sides approved, once the bid is Accepted. A cancelled deal keeps its memo."""
    found = await doors.look_signed_in(memo.find, bid_id)
    return Response(await memo.render(found), headers=attachment(found.file_name, PDF))
