"""The usual: FastAPI the ordinary way. ORM entities, a session for the request, the user loaded as an entity, statements
built per call, answers by `response_model`, four `BaseHTTPMiddleware`. Nothing is slow on purpose: relationships are
loaded eagerly and the pool is as large as the product's.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from pydantic.alias_generators import to_camel
from sqlalchemy import and_, exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import joinedload, selectinload
from starlette.middleware.base import BaseHTTPMiddleware
from uuid_utils.compat import uuid7

from backend.policies.matches import RULES
from backend.services.matches.pairs import slots_for_sku
from backend.services.matches.words import asked
from benchmarks.programs.tables import (
    Approval,
    Bid,
    Comment,
    Event,
    Session,
    Slot,
    SlotInvitee,
    Terms,
    TermsSku,
    User,
)

SECRET = os.environ["JWT_SECRET"]
POOL = int(os.environ.get("DB_POOL_SIZE", "10"))
engine = create_async_engine(
    "postgresql+asyncpg://", connect_args={"dsn": os.environ["DATABASE_URL"]}, pool_size=POOL, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
log = logging.getLogger("usual")
Number = Annotated[Decimal, PlainSerializer(float, return_type=float)]


class Out(BaseModel):
    """What goes out."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Demographics(Out):
    age_start: int | None
    age_end: int | None
    gender: str


class ProjectOut(Out):
    id: UUID
    title: str
    genre: str | None
    production_window: str
    demographics: Demographics


class SlotOut(Out):
    id: UUID
    project_id: UUID
    creator_id: UUID
    scene_ref: str
    scene_id: UUID | None
    scene_status: str | None
    description: str | None
    type: str
    pricing_floor: Number
    modality: str
    status: str
    visibility: str
    constraints: list[str]
    excluded_categories: list[str]
    bidding_closes_at: datetime | None
    project: ProjectOut
    created_at: datetime
    updated_at: datetime


class Verdict(Out):
    rule: str
    passed: bool
    detail: str


class MatchOut(Out):
    score: Number
    matched: list[str]
    categories: list[str]
    rules: list[Verdict]
    slot: SlotOut


class Person(Out):
    id: UUID
    name: str
    role: str


class SkuOut(Out):
    id: UUID
    title: str
    price: Number
    image_url: str | None


class Approvals(Out):
    creator: bool
    buyer: bool


class BidProject(Out):
    id: UUID
    title: str
    genre: str | None


class BidSlot(Out):
    id: UUID
    scene_ref: str
    type: str
    modality: str
    status: str
    pricing_floor: Number
    project: BidProject


class CommentOut(Out):
    id: UUID
    author_id: UUID
    author_name: str
    text: str
    timestamp: datetime


class BidOut(Out):
    id: UUID
    slot_id: UUID
    counterparty_id: UUID
    counterparty: Person
    status: str
    amount: Number
    amount_terms: str
    objective: str
    sku_ids: list[UUID]
    skus: list[SkuOut]
    terms_version: int
    approvals: Approvals
    holds_slot: bool
    hold_expires_at: datetime | None
    expires_at: datetime
    decline_reason: str | None
    allowed_actions: list[str]
    scene_id: UUID | None
    scene_status: str | None
    slot: BidSlot
    created_at: datetime
    updated_at: datetime
    comments: list[CommentOut]


class BidIn(BaseModel):
    """An offer."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")
    amount: Decimal = Field(gt=0, decimal_places=2)
    objective: str = Field(min_length=1, max_length=4000)
    amount_terms: str | None = None
    message: str | None = None


async def get_session() -> AsyncIterator[AsyncSession]:
    """A session for the request, committed by who changes something."""
    async with sessions() as session:
        yield session


Db = Annotated[AsyncSession, Depends(get_session)]
scheme = OAuth2PasswordBearer(tokenUrl="/token")


async def get_user(db: Db, token: Annotated[str, Depends(scheme)]) -> User:
    """The user of the token."""
    try:
        payload = jwt.decode(token, SECRET, algorithms=["HS256"], audience="backdrop-api", issuer="backdrop")
    except jwt.PyJWTError:
        raise HTTPException(401) from None
    session = await db.get(Session, UUID(payload["sid"]), options=[joinedload(Session.user)])
    if session is None or session.ended_at is not None or not session.user.is_active:
        raise HTTPException(401)
    return session.user


Me = Annotated[User, Depends(get_user)]


def shown_status(slot: Slot) -> str:
    """A slot's status at this moment."""
    now = datetime.now(UTC)
    if slot.hold_expires_at is not None and slot.hold_expires_at <= now:
        return "Available"
    if slot.completes_at is not None and slot.completes_at <= now:
        return "Completed"
    return slot.status


def slot_out(slot: Slot) -> SlotOut:
    """A slot as it goes out."""
    shown = SlotOut.model_validate(slot)
    shown.status = shown_status(slot)
    return shown


def visible(user: User) -> Any:
    """What a buyer may see."""
    return and_(
        Slot.removed_at.is_(None),
        Slot.creator.has(User.is_active),
        or_(
            Slot.visibility == "Public",
            exists().where(SlotInvitee.slot_id == Slot.id, SlotInvitee.user_id == user.id),
            exists().where(Bid.slot_id == Slot.id, Bid.buyer_id == user.id),
        ),
    )


def allowed_actions(bid: Bid, user: User) -> list[str]:
    """What the reader may do next."""
    buyer = user.id == bid.buyer_id
    if bid.status in ("Committed", "Declined"):
        return []
    ending = "withdraw" if buyer else "decline"
    if bid.status == "Accepted":
        return [ending, "commit"] if buyer else [ending]
    approved = bid.buyer_approved_version if buyer else bid.creator_approved_version
    blocked = not buyer and bid.slot.holder_bid_id not in (None, bid.id)
    return ["terms", ending] if approved is not None or blocked else ["terms", "approve", ending]


def bid_out(bid: Bid, user: User) -> BidOut:
    """A bid as it goes out."""
    terms = next(each for each in bid.terms if each.version == bid.terms_version)
    status = shown_status(bid.slot)
    holds = bid.slot.holder_bid_id == bid.id and status == "Locked"
    slot = BidSlot.model_validate(bid.slot)
    slot.status = status
    return BidOut(
        id=bid.id,
        slot_id=bid.slot_id,
        counterparty_id=bid.buyer_id,
        counterparty=Person.model_validate(bid.buyer),
        status=bid.status,
        amount=terms.amount,
        amount_terms=terms.amount_terms,
        objective=terms.objective,
        sku_ids=[each.sku_id for each in terms.skus],
        skus=[SkuOut.model_validate(each.sku) for each in terms.skus],
        terms_version=bid.terms_version,
        approvals=Approvals(
            creator=bid.creator_approved_version is not None, buyer=bid.buyer_approved_version is not None
        ),
        holds_slot=holds,
        hold_expires_at=bid.slot.hold_expires_at if holds else None,
        expires_at=bid.expires_at,
        decline_reason=bid.decline_reason,
        allowed_actions=allowed_actions(bid, user),
        scene_id=bid.scene_id,
        scene_status=bid.scene_status,
        slot=slot,
        created_at=bid.created_at,
        updated_at=bid.updated_at,
        comments=[
            CommentOut(
                id=each.id,
                author_id=each.author_id,
                author_name=each.author.name,
                text=each.text,
                timestamp=each.created_at,
            )
            for each in bid.comments
        ],
    )


def whole_bid(bid_id: UUID) -> Any:
    """One bid with all that its answer shows."""
    return (
        select(Bid)
        .where(Bid.id == bid_id)
        .options(
            joinedload(Bid.slot).joinedload(Slot.project),
            joinedload(Bid.buyer),
            selectinload(Bid.terms).selectinload(Terms.skus).joinedload(TermsSku.sku),
            selectinload(Bid.comments).joinedload(Comment.author),
        )
        .execution_options(populate_existing=True)
    )


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the pool at the end."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.get("/api/v1/slots", response_model=list[SlotOut])
async def list_slots(
    db: Db,
    user: Me,
    genre: str | None = None,
    min_price: Annotated[Decimal | None, Query(alias="minPrice")] = None,
    limit: Annotated[int, Query(le=1000)] = 1000,
) -> list[SlotOut]:
    """Slots a buyer may see."""
    query = select(Slot).options(joinedload(Slot.project)).where(visible(user))
    if genre:
        query = query.where(func.lower(Slot.genre) == func.lower(genre))
    if min_price is not None:
        query = query.where(Slot.pricing_floor >= min_price)
    query = query.order_by(Slot.created_at.desc(), Slot.id.desc()).limit(limit)
    return [slot_out(slot) for slot in (await db.scalars(query)).all()]


# The product's statement, with names where it has numbers.
MATCH, _ = slots_for_sku(failing=False, after=False)
MATCHES = text(re.sub(r"\$(\d+)", lambda each: f":{MATCH.names[int(each[1]) - 1]} ", MATCH.sql))
SAYS = text("""SELECT word, points FROM skus LEFT JOIN word_points(sku_document(title, tags, description)) ON true
    WHERE id = :id AND merchant_id = :actor AND removed_at IS NULL""")


@app.get("/api/v1/skus/{sku_id}/matches", response_model=list[MatchOut])
async def match_slots(db: Db, user: Me, sku_id: UUID, limit: Annotated[int, Query(le=1000)] = 1000) -> list[MatchOut]:
    """Slots that fit a SKU: found by SQL, loaded as entities."""
    said = (await db.execute(SAYS, {"id": sku_id, "actor": user.id})).all()
    if not said:
        raise HTTPException(404)
    binds = asked({row.word: row.points for row in said})
    binds |= {"p_actor": user.id, "p_now": datetime.now(UTC), "p_sku": sku_id, "p_limit": limit}
    rows = (await db.execute(MATCHES, binds)).mappings().all()
    ids = [row["id"] for row in rows]
    loaded = await db.scalars(select(Slot).options(joinedload(Slot.project)).where(Slot.id.in_(ids)))
    slots = {slot.id: slot for slot in loaded}
    return [match_out(dict(row), slots[row["id"]]) for row in rows]


def match_out(row: dict[str, Any], slot: Slot) -> MatchOut:
    """A match as it goes out."""
    facts = {name[1:]: value for name, value in row.items() if name[0] == "_"}
    rules = []
    for rule in RULES:
        passed = facts[f"passed_{rule.name}"]
        rules.append(Verdict(rule=rule.name, passed=passed, detail=rule.say(facts, passed, True)))
    return MatchOut(
        score=row["_score"], matched=row["_matched"], categories=row["_categories"], rules=rules, slot=slot_out(slot)
    )


@app.get("/api/v1/slots/{slot_id}", response_model=SlotOut)
async def get_slot(db: Db, user: Me, slot_id: UUID) -> SlotOut:
    """One slot."""
    slot = await db.scalar(select(Slot).options(joinedload(Slot.project)).where(Slot.id == slot_id, visible(user)))
    if slot is None:
        raise HTTPException(404)
    return slot_out(slot)


@app.get("/api/v1/bids/{bid_id}", response_model=BidOut)
async def get_bid(db: Db, user: Me, bid_id: UUID) -> BidOut:
    """One bid."""
    bid = await db.scalar(whole_bid(bid_id))
    if bid is None or user.id not in (bid.buyer_id, bid.creator_id):
        raise HTTPException(404)
    return bid_out(bid, user)


def event(user: User, action: str, kind: str, subject: UUID, bid_id: UUID, status: str) -> Event:
    """One line of the record."""
    return Event(
        id=uuid7(),
        at=datetime.now(UTC),
        actor_id=user.id,
        actor_role=user.role,
        action=action,
        subject_type=kind,
        subject_id=subject,
        bid_id=bid_id,
        status=status,
        data={},
    )


@app.post("/api/v1/slots/{slot_id}/bids", status_code=201, response_model=BidOut)
async def place_bid(db: Db, user: Me, slot_id: UUID, body: BidIn) -> BidOut:
    """An offer."""
    slot = await db.scalar(select(Slot).where(Slot.id == slot_id, visible(user)).with_for_update(of=Slot))
    if slot is None:
        raise HTTPException(404)
    mine = await db.scalar(
        select(Bid.id).where(Bid.slot_id == slot_id, Bid.buyer_id == user.id, Bid.status != "Declined")
    )
    sold = slot.holder_bid_id is not None and slot.hold_expires_at is None
    if mine is not None or sold or slot.status == "Completed" or body.amount < slot.pricing_floor:
        raise HTTPException(409)
    now = datetime.now(UTC)
    bid = Bid(
        id=uuid7(),
        slot_id=slot.id,
        creator_id=slot.creator_id,
        buyer_id=user.id,
        modality=slot.modality,
        status="Pending",
        terms_version=1,
        expires_at=now + timedelta(days=14),
        created_at=now,
        updated_at=now,
    )
    db.add(bid)
    await db.flush()
    db.add(
        Terms(
            bid_id=bid.id,
            version=1,
            side="buyer",
            author_id=user.id,
            floor=slot.pricing_floor,
            amount=body.amount,
            amount_terms=body.amount_terms or f"USD {body.amount:,.2f}",
            objective=body.objective,
            created_at=now,
        )
    )
    db.add(event(user, "bid.placed", "bid", bid.id, bid.id, "Pending"))
    await db.flush()
    answer = bid_out((await db.scalars(whole_bid(bid.id))).one(), user)
    await db.commit()
    return answer


@app.post("/api/v1/bids/{bid_id}/approve", response_model=BidOut)
async def approve_bid(db: Db, user: Me, bid_id: UUID) -> BidOut:
    """The creator's yes."""
    slot_id = await db.scalar(select(Bid.slot_id).where(Bid.id == bid_id, Bid.creator_id == user.id))
    if slot_id is None:
        raise HTTPException(404)
    slot = (await db.scalars(select(Slot).where(Slot.id == slot_id).with_for_update())).one()
    bid = (await db.scalars(select(Bid).where(Bid.id == bid_id).with_for_update())).one()
    now = datetime.now(UTC)
    if bid.status != "Pending" or slot.holder_bid_id is not None or bid.expires_at <= now:
        raise HTTPException(409)
    db.add(Approval(bid_id=bid.id, terms_version=bid.terms_version, side="creator", user_id=user.id, created_at=now))
    slot.status, slot.holder_bid_id = "Locked", bid.id
    slot.hold_expires_at = min(now + timedelta(days=3), bid.expires_at)
    bid.status, bid.creator_approved_version, bid.updated_at = "AwaitingFinalApproval", bid.terms_version, now
    db.add(event(user, "bid.approved", "bid", bid.id, bid.id, "AwaitingFinalApproval"))
    db.add(event(user, "slot.held", "slot", slot.id, bid.id, "Locked"))
    await db.flush()
    answer = bid_out((await db.scalars(whole_bid(bid.id))).one(), user)
    await db.commit()
    return answer


Next = Callable[[Request], Awaitable[Response]]


async def add_request_id(request: Request, call_next: Next) -> Response:
    """Number the request."""
    request.state.request_id = request.headers.get("x-request-id") or str(uuid7())
    response = await call_next(request)
    response.headers["x-request-id"] = request.state.request_id
    return response


async def add_log_line(request: Request, call_next: Next) -> Response:
    """One line a request."""
    started = time.perf_counter()
    response = await call_next(request)
    log.info("%s %s %s %.2f", request.method, request.url.path, response.status_code, time.perf_counter() - started)
    return response


async def add_standing_headers(request: Request, call_next: Next) -> Response:
    """What every answer carries."""
    response = await call_next(request)
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["cache-control"] = "no-store"
    return response


async def limit_rate(request: Request, call_next: Next) -> Response:
    """A counter by address."""
    counts[request.client.host if request.client else ""] = counts.get("", 0) + 1
    return await call_next(request)


counts: dict[str, int] = {}
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
for dispatch in (limit_rate, add_standing_headers, add_log_line, add_request_id):
    app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
