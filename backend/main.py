"""The application: lifespan, middleware, error handler, one list of routers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from backend.core.config import Settings
from backend.core.config import settings as read_settings
from backend.core.database import Database
from backend.core.edge import Edge
from backend.core.limits import Buckets, Limit
from backend.core.logging import configure_logging
from backend.core.processes import end_with_parent, settled
from backend.core.tally import Tally
from backend.core.version import NAME, VERSION
from backend.dependencies import documentation, pages, problems
from backend.dependencies.routes import API, Shelves
from backend.dependencies.security import MOST_A_MINUTE
from backend.dependencies.turns import TURNS, Turns
from backend.integrations.database import database_dsn
from backend.integrations.oauth import providers
from backend.integrations.redis import redis_buckets
from backend.integrations.storage import Storage
from backend.jobs import files, scripts, security, worker
from backend.policies.security import Sighting
from backend.policies.users import Admissions
from backend.routers import (
    bids,
    commitments,
    excerpts,
    health,
    identities,
    matches,
    memos,
    operators,
    projects,
    scenes,
    skus,
    slots,
    stats,
    users,
    views,
)
from backend.services.limits import PostgresBuckets

log = structlog.get_logger("backdrop.start")

# What is asked most comes first: of one noun, the path of a request is held against one route after the other.
ROUTERS = (
    slots.router,
    bids.router,
    stats.router,  # before /commitments/{commitment_id}
    commitments.router,
    memos.router,
    projects.router,
    scenes.router,
    views.router,
    excerpts.router,
    skus.router,
    matches.router,
    identities.router,
    users.router,
    operators.router,
    health.router,
)

# Response headers that a page from another origin may read.
EXPOSED = ["ETag", "Link", "Idempotent-Replayed", "X-Request-ID", "Retry-After", "Content-Disposition"]
EXPOSED += ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]


BY_HAND = (
    "started without `python -m backend serve`: a slow client may take all the time it wants for its head, and clients "
    "behind a proxy count as one"
)


def create_app(settings: Settings | None = None, *, by_hand: bool = False) -> FastAPI:
    """The service. Nothing is opened before its lifespan starts, which opens storage and pool and closes them again."""
    config = settings or read_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logging(config)
        if by_hand:
            log.warning(BY_HAND)
        if config.supervisor_pid is not None:
            end_with_parent(config.supervisor_pid)
        async with AsyncExitStack() as stack:
            dsn = stack.enter_context(database_dsn(config))
            app.state.settings = config
            app.state.secret = config.signing_secret()
            app.state.buckets = Buckets(Limit.read(config.rate_limit)) if config.rate_limit else None
            app.state.providers = providers(config)
            app.state.storage = Storage(config.uploads)
            app.state.database = await stack.enter_async_context(Database.opened(dsn, config))
            app.state.shared_buckets = (
                await stack.enter_async_context(redis_buckets(config.redis_url.get_secret_value()))
                if config.redis_url is not None
                else PostgresBuckets(app.state.database)
            )
            app.state.admissions = Admissions(app.state.database)
            app.state.turns = asyncio.Semaphore(TURNS)
            app.state.tally = Tally[Sighting](MOST_A_MINUTE)
            if config.app_env != "test":
                await stack.enter_async_context(worker.running(app.state.database))
                # A loop of its own: somebody waits for the scenes, and a long script delays no deadline.
                read_scripts = partial(scripts.read_due, files=app.state.storage)
                await stack.enter_async_context(worker.running(app.state.database, [read_scripts], interval=1))
                await stack.enter_async_context(security.last(app.state.database, app.state.tally))
                write_down = partial(security.write_down, tally=app.state.tally)
                await stack.enter_async_context(worker.running(app.state.database, [write_down], interval=1))
                sweep_files = partial(files.sweep, storage=app.state.storage)
                await stack.enter_async_context(worker.running(app.state.database, [sweep_files], interval=3600))
                stack.enter_context(settled())
            yield

    app = FastAPI(
        title=NAME,
        version=VERSION,
        summary="A marketplace for placements in scripts.",
        description=documentation.OVERVIEW,
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would repeat the host that the caller claims
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        openapi_url="/openapi.json" if config.docs else None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # else it looks for a provider at every request
        # One flat list: of an included router, FastAPI asks every route twice.
        routes=[route for router in ROUTERS for route in router.routes],
    )
    app.add_middleware(Turns, routes=app.router.routes)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=config.allowed_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-ID"],
        expose_headers=EXPOSED,
        max_age=600,
    )
    app.add_middleware(Edge, most=config.max_body_kb * 1024, https=config.app_env == "production")
    problems.install(app)
    if config.docs:
        pages.install(app)
    app.include_router(health.probes)
    app.include_router(health.probes, prefix=API, include_in_schema=False)
    documentation.install(app)
    app.router.middleware_stack = Shelves(app.router)
    return app


def __getattr__(name: str) -> Any:
    """`uvicorn backend.main:app`: the application is made when it is asked for, not at import."""
    if name == "app":
        config = read_settings()
        return create_app(config, by_hand=config.supervisor_pid is None)
    raise AttributeError(name)
