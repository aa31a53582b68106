"""Scenes of a script."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors
from backend.dependencies.routes import Route
from backend.schemas.scenes import SceneOut
from backend.services import scenes

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
    return await doors.read(scenes.find_all, project_id)
