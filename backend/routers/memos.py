"""The deal memo."""

from __future__ import annotations

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors, OpenDoor, respond
from backend.dependencies.downloads import PDF, attachment, file
from backend.dependencies.limits import VERIFY, limited
from backend.dependencies.routes import Route
from backend.schemas.memos import VerifyOut
from backend.services import memos

router = APIRouter(route_class=Route, tags=["Deals"])


@router.get(
    "/bids/{bid_id}/memo",
    operation_id="getMemo",
    summary="The deal memo",
    response_class=Response,
    responses={200: file("The memo, as an attachment.", PDF), **problems(401, 404, 409)},
)
async def get(bid_id: UUID, doors: Doors) -> Response:
    """A PDF of the terms that both sides approved, once the bid is Accepted. A cancelled deal keeps its memo.

    It carries the digests of what it states, of the terms and of the script's draft, and a QR code that leads to
    `GET /verify/{sha256}`.
    """
    memo = await doors.change_signed_in(memos.find, bid_id)
    document = await memos.render(memo)
    await doors.change_signed_in(memos.keep_file, memo, document)
    return Response(document, headers=attachment(memo.file_name, PDF))


@router.get(
    "/verify/{sha256}",
    operation_id="verifyMemo",
    summary="Whether a memo was issued",
    response_model=VerifyOut,
    responses=problems(429),
)
async def verify(
    sha256: Annotated[str, Path(description="In hexadecimal.", json_schema_extra={"pattern": "^[0-9a-fA-F]{64}$"})],
    door: OpenDoor,
) -> Response:
    """For anyone: the digest that a memo prints, or the SHA-256 of its file. Nothing else is told."""
    async with limited(door, VERIFY):
        return respond(await door.look(partial(memos.verify, digest=sha256)), 200, door.request)
