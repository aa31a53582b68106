"""Who read what of a script."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response

from backend.dependencies.documentation import problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import Paged
from backend.dependencies.routes import Route
from backend.schemas.views import ViewOut
from backend.services import views

router = APIRouter(route_class=Route, tags=["Scripts"])


@router.get(
    "/projects/{project_id}/views",
    operation_id="listViews",
    summary="Who has seen what of the script",
    response_model=list[ViewOut],
    responses=problems(401, 403, 404),
)
async def find_all(project_id: UUID, doors: Doors, page: Paged) -> Response:
    """Every time that somebody got the script, its scenes, or an excerpt: for its creator and operators, newest first.

    The creator's own are among them. A watermarked excerpt names its view's `id` and `requestId`.
    """
    return await doors.read(views.find_all, project_id, page)
