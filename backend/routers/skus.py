"""SKUs: a merchant's catalogue."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from backend.dependencies.documentation import IDEMPOTENCY_KEY, IF_MATCH, headers, multipart, problems
from backend.dependencies.doors import Doors
from backend.dependencies.paging import Paged
from backend.dependencies.routes import Route, UploadRoute
from backend.dependencies.uploads import catalogue_of, read_form
from backend.schemas.skus import CatalogueForm, CatalogueOut, SkuIn, SkuOut, SkuPatch
from backend.services import catalogues, skus

router = APIRouter(route_class=Route, tags=["SKUs"])
uploads = APIRouter(route_class=UploadRoute, tags=["SKUs"])


@router.post(
    "/skus",
    operation_id="createSku",
    summary="Add a SKU",
    status_code=201,
    response_model=SkuOut,
    responses=problems(400, 401, 403, 409, 413, 415),
    openapi_extra=headers(IDEMPOTENCY_KEY),
)
async def create(body: SkuIn, doors: Doors) -> Response:
    """A new product in your catalogue."""
    return await doors.make(skus.create, body)


@router.get(
    "/skus",
    operation_id="listSkus",
    summary="Your catalogue",
    response_model=list[SkuOut],
    responses=problems(401, 403),
)
async def find_all(doors: Doors, page: Paged) -> Response:
    """Your SKUs, newest first."""
    return await doors.read(skus.find_all, page)


@router.get(
    "/skus/{sku_id}", operation_id="getSku", summary="One SKU", response_model=SkuOut, responses=problems(401, 404)
)
async def get(sku_id: UUID, doors: Doors) -> Response:
    """One of your SKUs."""
    return await doors.read(skus.get, sku_id)


@router.patch(
    "/skus/{sku_id}",
    operation_id="changeSku",
    summary="Change a SKU",
    response_model=SkuOut,
    responses=problems(400, 401, 404, 409, 412, 413, 415),
    openapi_extra=headers(IF_MATCH),
)
async def patch(sku_id: UUID, body: SkuPatch, doors: Doors) -> Response:
    """Fields left out stay."""
    return await doors.do(skus.patch, sku_id, body, doors.if_match)


@router.delete(
    "/skus/{sku_id}",
    operation_id="deleteSku",
    summary="Delete a SKU",
    status_code=204,
    response_class=Response,
    responses=problems(401, 404, 412),
    openapi_extra=headers(IF_MATCH),
)
async def remove(sku_id: UUID, doors: Doors) -> Response:
    """The SKU leaves your catalogue; bids that name it keep it."""
    return await doors.do(skus.remove, sku_id, doors.if_match)


@uploads.post(
    "/skus/bulk",
    operation_id="importSkus",
    summary="Import a catalogue from CSV",
    status_code=201,
    response_model=CatalogueOut,
    responses={
        200: {"model": CatalogueOut, "description": "What would happen (`dryRun`)."},
        **problems(400, 401, 403, 413, 415),
    },
    openapi_extra=headers(IDEMPOTENCY_KEY, **multipart(CatalogueForm)),
)
async def import_catalogue(
    request: Request,
    doors: Doors,
    dry_run: Annotated[bool, Query(alias="dryRun", description="Check only: nothing is taken.")] = False,
) -> Response:
    """All rows or none. A known `externalId` updates; what is wrong is told by row, field and reason."""
    async with read_form(request) as form:
        content, doors.digest = await catalogue_of(form)
        async with catalogues.checked(content) as catalogue:
            answer = doors.do if dry_run else doors.make
            return await answer(catalogues.load, catalogue, dry_run=dry_run)


router.routes.extend(uploads.routes)
