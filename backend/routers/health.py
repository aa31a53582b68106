"""Health and self-description."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.core.shapes import Reply, encode
from backend.dependencies.documentation import problems
from backend.dependencies.doors import OpenDoor, respond
from backend.dependencies.routes import Probe, Route
from backend.schemas.service import HealthOut, LiveOut, MetaOut
from backend.services import health

probes = APIRouter(route_class=Probe, tags=["Service"])
router = APIRouter(route_class=Route, tags=["Service"])


@probes.get(
    "/healthz",
    operation_id="getHealth",
    summary="Whether the service and its database are there",
    response_model=HealthOut,
    responses={503: {"model": HealthOut, "description": "The database is unreachable."}},
)
async def healthz(door: OpenDoor) -> Response:
    """200 while the database answers, 503 while it does not."""
    if await health.database_answers(door.database):
        return respond(Reply(encode({"status": "ok", "db": "connected"})), 200, door.request)
    degraded = respond(Reply(encode({"status": "degraded", "db": "unreachable"})), 503, door.request)
    degraded.headers["retry-after"] = "1"
    return degraded


@probes.get(
    "/healthz/live",
    operation_id="getLiveness",
    summary="That the process answers",
    response_model=LiveOut,
)
async def live(door: OpenDoor) -> Response:
    """Never touches the database."""
    return respond(Reply(encode({"status": "ok"})), 200, door.request)


@router.get(
    "/meta",
    operation_id="getMeta",
    summary="The closed sets and the transition tables",
    response_model=MetaOut,
    responses=problems(),
)
async def meta(door: OpenDoor) -> Response:
    """Enums, currency, and the states and transitions of bid, slot and commitment, as the service enforces them."""
    return respond(health.meta(door.settings), 200, door.request)
