"""Bids: placing, talking, changing terms, approving, ending, committing."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from backend.dependencies.documentation import IDEMPOTENCY_KEY, headers, problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import EmptyIsNone, Paged, given
from backend.dependencies.routes import Route
from backend.models.bids import BidStatus
from backend.schemas.bids import (
    ApproveIn,
    Awaiting,
    BidIn,
    BidListed,
    BidOut,
    BidSort,
    CommitIn,
    DeclineIn,
    TermsIn,
    TermsOut,
    WithdrawIn,
)
from backend.schemas.comments import CommentIn, CommentOut
from backend.schemas.commitments import CommitmentOut
from backend.schemas.events import EventOut
from backend.services import bidding, bids, comments, events

router = APIRouter(route_class=Route, tags=["Deals"])

CHANGE = problems(400, 401, 403, 404, 409, 413, 415)
KEY = headers(IDEMPOTENCY_KEY)


@router.post(
    "/slots/{slot_id}/bids",
    operation_id="placeBid",
    summary="Place a bid",
    status_code=201,
    response_model=BidOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def place(slot_id: UUID, body: BidIn, doors: Doors) -> Response:
    """An offer for a slot. On a PG/Reservation slot it takes the hold; on a held auction slot it stands by."""
    return await doors.make(bidding.place, slot_id, body)


@router.get(
    "/bids",
    operation_id="listBids",
    summary="Bids",
    response_model=list[BidListed],
    responses=problems(401),
)
async def find_all(
    doors: Doors,
    page: Paged,
    status: Annotated[BidStatus | None, EmptyIsNone, Query()] = None,
    slot_id: Annotated[UUID | None, EmptyIsNone, Query(alias="slotId")] = None,
    project_id: Annotated[UUID | None, EmptyIsNone, Query(alias="projectId")] = None,
    awaiting: Annotated[Awaiting | None, EmptyIsNone, Query(description="`me`: it is your turn.")] = None,
    sort: Annotated[BidSort, Query()] = BidSort.FRESHEST,
) -> Response:
    """A buyer's own; for a creator those on own slots; for operators all."""
    filters = given(status=status, slot_id=slot_id, project_id=project_id, awaiting=awaiting)
    return await doors.read(bids.find_all, filters, sort, page)


@router.get(
    "/bids/{bid_id}", operation_id="getBid", summary="One bid", response_model=BidOut, responses=problems(401, 404)
)
async def get(bid_id: UUID, doors: Doors) -> Response:
    """One bid with its conversation."""
    return await doors.read(bids.get, bid_id)


@router.get(
    "/bids/{bid_id}/terms",
    operation_id="listTerms",
    summary="Every version of the terms",
    response_model=list[TermsOut],
    responses=problems(401, 404),
)
async def terms(bid_id: UUID, doors: Doors) -> Response:
    """Oldest first; the last one is current."""
    return await doors.read(bids.terms, bid_id)


@router.post(
    "/bids/{bid_id}/terms",
    operation_id="changeTerms",
    summary="Offer new terms",
    response_model=BidOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def new_terms(bid_id: UUID, body: TermsIn, doors: Doors) -> Response:
    """Either side, against the version it read. Both approvals are void; fields left out stay."""
    return await doors.do(bidding.new_terms, bid_id, body)


@router.post(
    "/bids/{bid_id}/approve",
    operation_id="approveBid",
    summary="Approve the current terms",
    response_model=BidOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def approve(bid_id: UUID, doors: Doors, body: ApproveIn | None = None) -> Response:
    """Your side's yes; the second one makes the bid Accepted."""
    return await doors.do(bidding.approve, bid_id, body or ApproveIn())


@router.post(
    "/bids/{bid_id}/decline",
    operation_id="declineBid",
    summary="Decline a bid",
    response_model=BidOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def decline(bid_id: UUID, body: DeclineIn, doors: Doors) -> Response:
    """The creator's no, with a reason; a note becomes a comment."""
    return await doors.do(bidding.decline, bid_id, body)


@router.post(
    "/bids/{bid_id}/withdraw",
    operation_id="withdrawBid",
    summary="Withdraw a bid",
    response_model=BidOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def withdraw(bid_id: UUID, doors: Doors, body: WithdrawIn | None = None) -> Response:
    """The buyer takes the bid back; a note becomes a comment."""
    return await doors.do(bidding.withdraw, bid_id, body or WithdrawIn())


@router.post(
    "/bids/{bid_id}/commit",
    operation_id="commitBid",
    summary="Commit the spend",
    status_code=201,
    response_model=CommitmentOut,
    responses=CHANGE,
    openapi_extra=KEY,
)
async def commit(bid_id: UUID, doors: Doors, body: CommitIn | None = None) -> Response:
    """The buyer's binding spend, once both have approved. All other live bids on the slot end."""
    return await doors.make(bidding.commit, bid_id, body or CommitIn())


@router.get(
    "/bids/{bid_id}/comments",
    operation_id="listComments",
    summary="The conversation",
    response_model=list[CommentOut],
    responses=problems(401, 404),
)
async def conversation(bid_id: UUID, doors: Doors, page: Paged) -> Response:
    """Oldest first."""
    return await doors.read(comments.find_all, bid_id, page)


@router.post(
    "/bids/{bid_id}/comments",
    operation_id="addComment",
    summary="Say something",
    status_code=201,
    response_model=CommentOut,
    responses=problems(400, 401, 404, 413, 415),
    openapi_extra=KEY,
)
async def comment(bid_id: UUID, body: CommentIn, doors: Doors) -> Response:
    """A message on the bid, in any of its states."""
    return await doors.make(comments.create, bid_id, body.text)


@router.get(
    "/bids/{bid_id}/events",
    operation_id="listBidEvents",
    summary="The deal's history",
    response_model=list[EventOut],
    responses=problems(401, 404),
)
async def history(bid_id: UUID, doors: Doors, page: Paged) -> Response:
    """Oldest first: what happened to the bid, its hold and its commitment, and who did it."""
    return await doors.read(events.of_bid, bid_id, page)
