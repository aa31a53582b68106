"""Projects and their scripts."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from backend.core.uploads import MEDIA_TYPES
from backend.dependencies.documentation import IDEMPOTENCY_KEY, IF_MATCH, headers, multipart, problems
from backend.dependencies.doors import Doors, OpenDoor, SignedIn, by_link
from backend.dependencies.downloads import attachment, file
from backend.dependencies.links import Linked
from backend.dependencies.paging import Paged
from backend.dependencies.routes import Route, UploadRoute
from backend.dependencies.uploads import Shelved, digest_of, draft_of, project_of, read_form, script_of
from backend.schemas.projects import ProjectForm, ProjectOut, ProjectPatch, ScriptForm
from backend.services import projects

router = APIRouter(route_class=Route, tags=["Projects"])
uploads = APIRouter(route_class=UploadRoute, tags=["Projects"])


@uploads.post(
    "/projects",
    operation_id="createProject",
    summary="Upload a script as a project",
    status_code=201,
    response_model=ProjectOut,
    responses=problems(400, 401, 403, 413, 415),
    openapi_extra=headers(IDEMPOTENCY_KEY, **multipart(ProjectForm)),
)
async def create(request: Request, doors: Doors, shelf: Shelved) -> Response:
    """A multipart body: the script as `file` (.pdf, .fountain or .fdx) and the project's fields.

    The fields are form fields (`title`, `budgetTarget` and `productionWindow` are required), or the same keys as one
    JSON part `metadata` with `demographics` nested.
    """
    async with read_form(request) as form:
        script, project = await script_of(form), await project_of(form)
        doors.digest = digest_of(script, project)
        async with shelf.kept(script) as kept:
            return await doors.make(projects.create, project, kept, doors.links)


@router.get(
    "/projects",
    operation_id="listProjects",
    summary="Projects",
    response_model=list[ProjectOut],
    responses=problems(401),
)
async def find_all(doors: Doors, page: Paged) -> Response:
    """A creator's own; for buyers those with a slot they may see; for operators all. Newest first."""
    return await doors.read(projects.find_all, page, doors.links)


@router.get(
    "/projects/{project_id}",
    operation_id="getProject",
    summary="One project",
    response_model=ProjectOut,
    responses=problems(401, 404),
)
async def get(project_id: UUID, doors: Doors) -> Response:
    """One project. Buyers see neither the script's link nor the committed amount."""
    return await doors.read(projects.get, project_id, doors.links)


@router.patch(
    "/projects/{project_id}",
    operation_id="changeProject",
    summary="Change a project",
    response_model=ProjectOut,
    responses=problems(400, 401, 403, 404, 412, 413, 415),
    openapi_extra=headers(IF_MATCH),
)
async def patch(project_id: UUID, body: ProjectPatch, doors: Doors) -> Response:
    """Fields left out stay."""
    return await doors.do(projects.patch, project_id, body, doors.if_match, doors.links)


@router.delete(
    "/projects/{project_id}",
    operation_id="deleteProject",
    summary="Delete a project",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 409, 412),
    openapi_extra=headers(IF_MATCH),
)
async def remove(project_id: UUID, doors: Doors) -> Response:
    """The project leaves every list with its slots; live bids on them end. Refused while a bid holds one of them."""
    return await doors.do(projects.remove, project_id, doors.if_match, doors.links)


@uploads.put(
    "/projects/{project_id}/script",
    operation_id="replaceScript",
    summary="Upload a new draft",
    response_model=ProjectOut,
    responses=problems(400, 401, 403, 404, 412, 413, 415),
    openapi_extra=headers(IF_MATCH, **multipart(ScriptForm)),
)
async def replace_script(project_id: UUID, request: Request, doors: Doors, shelf: Shelved) -> Response:
    """A multipart body with the script as `file`."""
    async with read_form(request) as form, shelf.kept(await draft_of(form)) as kept:
        return await doors.do(projects.replace_script, project_id, kept, doors.if_match, doors.links)


@router.get(
    "/projects/{project_id}/script",
    operation_id="downloadScript",
    summary="Download the script",
    response_class=Response,
    responses={
        200: file("The file, byte for byte, as an attachment.", *MEDIA_TYPES),
        **problems(401, 403, 404),
    },
    openapi_extra={"security": [{"OAuth2PasswordBearer": []}, {}]},
)
async def download(project_id: UUID, request: Request, door: OpenDoor, shelf: Shelved, link: Linked) -> Response:
    """The current draft. With a header for its owner and operators, or by a project's `docLink` without one."""
    if link is not None:
        link.must_hold(door, f"/api/v1/projects/{project_id}/script")
        row = await by_link(door, link.user, projects.script, project_id)
    else:
        row = await SignedIn(request, None, None).change_signed_in(projects.script, project_id)
    headers = attachment(row["file_name"], row["media_type"]) | {"content-length": str(row["size"])}
    return StreamingResponse(await shelf.files.get(row["storage_key"]), headers=headers)


router.routes.extend(uploads.routes)
