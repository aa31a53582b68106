"""A peer: Litestar with msgspec and SQLAlchemy's ORM, the list of slots alone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import jwt
import msgspec
from litestar import Litestar, Request, get
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException
from litestar.params import Parameter
from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload

from benchmarks.programs.tables import Bid, Project, Session, Slot, SlotInvitee, User

SECRET = os.environ["JWT_SECRET"]
POOL = int(os.environ.get("DB_POOL_SIZE", "10"))
engine = create_async_engine(
    "postgresql+asyncpg://", connect_args={"dsn": os.environ["DATABASE_URL"]}, pool_size=POOL, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Demographics(msgspec.Struct, rename="camel"):
    age_start: int | None
    age_end: int | None
    gender: str


class ProjectOut(msgspec.Struct, rename="camel"):
    id: UUID
    title: str
    genre: str | None
    production_window: str
    demographics: Demographics


class SlotOut(msgspec.Struct, rename="camel"):
    id: UUID
    project_id: UUID
    creator_id: UUID
    scene_ref: str
    scene_id: UUID | None
    scene_status: str | None
    description: str | None
    type: str
    pricing_floor: float
    modality: str
    status: str
    visibility: str
    constraints: list[str]
    excluded_categories: list[str]
    bidding_closes_at: datetime | None
    project: ProjectOut
    created_at: datetime
    updated_at: datetime


def project_out(project: Project) -> ProjectOut:
    """A project, in short."""
    audience = Demographics(project.age_start, project.age_end, project.gender)
    return ProjectOut(project.id, project.title, project.genre, project.production_window, audience)


def slot_out(slot: Slot, now: datetime) -> SlotOut:
    """A slot as it goes out."""
    status = slot.status
    if slot.hold_expires_at is not None and slot.hold_expires_at <= now:
        status = "Available"
    elif slot.completes_at is not None and slot.completes_at <= now:
        status = "Completed"
    names = [name for name in SlotOut.__struct_fields__ if name not in ("status", "pricing_floor", "project")]
    values = {name: getattr(slot, name) for name in names}
    return SlotOut(status=status, pricing_floor=float(slot.pricing_floor), project=project_out(slot.project), **values)


async def open_session() -> AsyncIterator[AsyncSession]:
    """A session for the request."""
    async with sessions() as session:
        yield session


async def find_user(request: Request[Any, Any, Any], db: AsyncSession) -> User:
    """The user of the token."""
    try:
        token = request.headers["authorization"][7:]
        payload = jwt.decode(token, SECRET, algorithms=["HS256"], audience="backdrop-api", issuer="backdrop")
    except (KeyError, jwt.PyJWTError):
        raise NotAuthorizedException from None
    session = await db.get(Session, UUID(payload["sid"]), options=[joinedload(Session.user)])
    if session is None or session.ended_at is not None or not session.user.is_active:
        raise NotAuthorizedException
    return session.user


@get("/api/v1/slots")
async def list_slots(
    db: AsyncSession,
    user: User,
    genre: str,
    min_price: Annotated[Decimal, Parameter(query="minPrice")],
    limit: Annotated[int, Parameter(le=1000)] = 1000,
) -> list[SlotOut]:
    """Slots a buyer may see."""
    seen = or_(
        Slot.visibility == "Public",
        exists().where(SlotInvitee.slot_id == Slot.id, SlotInvitee.user_id == user.id),
        exists().where(Bid.slot_id == Slot.id, Bid.buyer_id == user.id),
    )
    query = (
        select(Slot)
        .options(joinedload(Slot.project))
        .where(and_(Slot.removed_at.is_(None), Slot.creator.has(User.is_active), seen))
        .where(func.lower(Slot.genre) == func.lower(genre), Slot.pricing_floor >= min_price)
        .order_by(Slot.created_at.desc(), Slot.id.desc())
        .limit(limit)
    )
    now = datetime.now(UTC)
    return [slot_out(slot, now) for slot in (await db.scalars(query)).all()]


app = Litestar(
    [list_slots], dependencies={"db": Provide(open_session), "user": Provide(find_user)}, openapi_config=None
)
