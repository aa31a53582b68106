"""Scenes of a script, what they suggest, and what a new draft did to them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from backend.dependencies.documentation import IDEMPOTENCY_KEY, headers, problems
from backend.dependencies.doors import Doors
from backend.dependencies.routes import Route
from backend.schemas.drafts import DraftOut, SceneDiff
from backend.schemas.scenes import SceneOut
from backend.schemas.slots import SlotOut
from backend.schemas.suggestions import SuggestedSlotsIn, SuggestionOut
from backend.services import drafts, scenes, suggestions

router = APIRouter(route_class=Route, tags=["Scripts"])


@router.get(
    "/projects/{project_id}/scenes",
    operation_id="listScenes",
    summary="The scenes of the script",
    response_model=list[SceneOut],
    responses=problems(401, 403, 404),
)
async def find_all(project_id: UUID, doors: Doors) -> Response:
    """The scenes of the current draft in their order, for its creator and operators.

    The list is empty while the project's `scriptStatus` is `processing` or `unreadable`.
    """
    return await doors.do(scenes.find_all, project_id)


@router.get(
    "/projects/{project_id}/slot-suggestions",
    operation_id="listSlotSuggestions",
    summary="Slots that the script suggests",
    response_model=list[SuggestionOut],
    responses=problems(401, 403, 404),
)
async def suggested(project_id: UUID, doors: Doors) -> Response:
    """Places in the current draft's scenes where a product of some category would fit, with the words that say so.

    Worked out from a lexicon and rules that are shown with each suggestion; the same draft gives the same list.
    """
    return await doors.do(suggestions.find_all, project_id)


@router.post(
    "/projects/{project_id}/slots/from-suggestions",
    operation_id="takeSuggestions",
    summary="Make slots of suggestions",
    status_code=201,
    response_model=list[SlotOut],
    responses=problems(400, 401, 403, 404, 409, 413, 415),
    openapi_extra=headers(IDEMPOTENCY_KEY),
)
async def take(project_id: UUID, body: SuggestedSlotsIn, doors: Doors) -> Response:
    """A slot for each suggestion of the current draft, all or none: with its scene, its type and its words."""
    return await doors.make(suggestions.take, project_id, body)


@router.get(
    "/projects/{project_id}/drafts",
    operation_id="listDrafts",
    summary="The drafts of the script",
    response_model=list[DraftOut],
    responses=problems(401, 403, 404),
)
async def find_drafts(project_id: UUID, doors: Doors) -> Response:
    """Every draft, oldest first; the last one is current."""
    return await doors.read(drafts.find_all, project_id)


@router.get(
    "/projects/{project_id}/drafts/{number}/diff",
    operation_id="compareDrafts",
    summary="A draft against the one before it",
    response_model=list[SceneDiff],
    responses=problems(401, 403, 404, 409),
)
async def diff(project_id: UUID, number: Annotated[int, Path(ge=1, le=1_000_000)], doors: Doors) -> Response:
    """Scene by scene in the order of the new draft: kept, moved, changed, new or omitted."""
    return await doors.do(drafts.diff, project_id, number)
