"""Changing slots: tagging a script with places to sell, what the owner may edit, inviting to the private ones."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, delete, exists, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.types import Uuid

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import Invalid, NotFound
from backend.core.ids import new_id
from backend.core.shapes import IfMatch, Reply, whole
from backend.core.statements import Statement, binds, prefixed
from backend.models.bids import Bid
from backend.models.events import SubjectType
from backend.models.projects import Project
from backend.models.slots import Slot, SlotInvitee, SlotStatus
from backend.models.users import BUYERS, Role, User
from backend.policies import bids as bid_policy
from backend.policies import projects as project_policy
from backend.policies import slots as policy
from backend.policies.projects import must_own
from backend.policies.users import Actor, must_be
from backend.schemas.slots import SlotIn, SlotPatch
from backend.services import deals, events, scenes
from backend.services.slots.showing import WRITTEN, get


@lru_cache
def _lock(role: Role) -> Statement:
    return Statement(
        select(Slot.id, Slot.creator_id, Slot.project_id)
        .where(Slot.id == bindparam("p_id"), policy.visible(role))
        .with_for_update()
    )


_STANDING = Statement(
    select(
        policy.EFFECTIVE_STATUS.label("status"),
        exists()
        .where(Bid.slot_id == Slot.id, bid_policy.LIVE_ON_PAPER, ~bid_policy.OVERDUE)
        .correlate(Slot)
        .label("live_bids"),
        (Slot.holder_bid_id.is_not(None) & Slot.hold_expires_at.is_(None)).label("committed"),
    ).where(Slot.id == bindparam("p_id"))
)
_CREATE = Statement(
    insert(Slot).values(
        **binds(*WRITTEN, "scene_status", "suggested_category", "genre"),
        status=SlotStatus.AVAILABLE.value,
        created_at=bindparam("p_now"),
        updated_at=bindparam("p_now"),
    )
)
_PROJECT_OF = Statement(
    select(Project.genre, Project.creator_id)
    .where(Project.id == bindparam("p_id"), project_policy.visible(Role.CREATOR))
    .with_for_update(read=True)
)


async def create(tx: Tx, actor: Actor, body: SlotIn) -> Reply:
    """A new slot in one of the caller's projects. Raises Invalid for a project that is not theirs."""
    must_be(actor, Role.CREATOR)
    project = await _PROJECT_OF.one(tx, p_id=body.project_id, p_actor=actor.id)
    if project is None:
        raise Invalid.field("projectId", "is not one of your projects", code="unknown_project")
    if body.scene_id is not None:
        await scenes.must_be_current(tx, body.project_id, body.scene_id)
    return await get(tx, actor, await add(tx, actor, body, project["genre"]))


async def add(tx: Tx, actor: Actor, body: SlotIn, genre: str | None, suggested: str | None = None) -> UUID:
    """A slot in a project of the caller's that is locked; `suggested` is the category of its suggestion, if any."""
    slot_id = new_id()
    await _CREATE.one(
        tx,
        p_id=slot_id,
        p_creator_id=actor.id,
        p_genre=genre,
        p_scene_status=scenes.status_of(body.scene_id),
        p_suggested_category=suggested,
        p_now=clock.now(),
        **prefixed(body.model_dump()),
    )
    line = events.line(actor, "slot.created", (SubjectType.SLOT, slot_id), status=SlotStatus.AVAILABLE.value)
    await events.record(tx, line)
    return slot_id


async def _lock_own(tx: Tx, actor: Actor, slot_id: UUID) -> Record:
    """Lock the caller's own slot. Raises NotFound, Forbidden."""
    row = await _lock(actor.role).one(tx, p_id=slot_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    must_own(actor, row)
    return row


@lru_cache
def _patch(columns: frozenset[str]) -> Statement:
    return Statement(
        update(Slot).where(Slot.id == bindparam("p_id")).values(**binds(*columns), updated_at=bindparam("p_now"))
    )


async def patch(tx: Tx, actor: Actor, slot_id: UUID, body: SlotPatch, if_match: IfMatch) -> Reply:
    """Change what was sent; what is frozen when stands in deals.md. Raises NotFound, Forbidden, Conflict."""
    slot = await _lock_own(tx, actor, slot_id)
    before = await get(tx, actor, slot_id)
    if_match.must_allow(before.etag)
    standing = await _STANDING.one(tx, p_id=slot_id, p_now=clock.now())
    assert standing is not None
    changes = {name: getattr(body, name) for name in body.model_fields_set}
    policy.must_be_editable(
        SlotStatus(standing["status"]), changes, live_bids=standing["live_bids"], committed=standing["committed"]
    )
    if changes:
        if "modality" in changes:  # bids that have run out name the former one until that is written
            await deals.write_overdue(tx, slot_id, clock.now())
        line = events.line(actor, "slot.changed", (SubjectType.SLOT, slot_id), fields=sorted(changes))
        await events.record(tx, line)
        if "scene_id" in changes:
            if body.scene_id is not None:
                await scenes.must_be_current(tx, slot["project_id"], body.scene_id)
            changes["scene_status"] = scenes.status_of(body.scene_id)
        values = prefixed(changes)
        await _patch(frozenset(changes)).one(tx, p_id=slot_id, p_now=clock.now(), **values)
    return await get(tx, actor, slot_id)


async def remove(tx: Tx, actor: Actor, slot_id: UUID, if_match: IfMatch) -> Reply:
    """Hide the slot; live bids on it end. Raises NotFound, Forbidden, and Conflict while a bid holds it."""
    await _lock_own(tx, actor, slot_id)
    if if_match.given:
        if_match.must_allow((await get(tx, actor, slot_id)).etag)
    await deals.remove_slots(tx, actor, slot_ids=[slot_id])
    return Reply(b"")


_IDS: Any = bindparam("p_ids", type_=ARRAY(Uuid()))
_INVITEES = Statement(
    select(SlotInvitee.user_id)
    .where(SlotInvitee.slot_id == bindparam("p_id"))
    .order_by(SlotInvitee.created_at, SlotInvitee.user_id)
)
# Whoever is invited already may stay, active or not: what was read can be written back.
_KNOWN_BUYERS = Statement(
    select(User.id)
    .where(User.id == func.any(_IDS), User.is_active, User.role.in_([role.value for role in BUYERS]))
    .union(select(SlotInvitee.user_id).where(SlotInvitee.slot_id == bindparam("p_id")))
)
_UNINVITE = Statement(
    delete(SlotInvitee).where(SlotInvitee.slot_id == bindparam("p_id"), SlotInvitee.user_id != func.all(_IDS))
)
_INVITE = Statement(
    upsert(SlotInvitee)
    .values(slot_id=bindparam("p_id"), user_id=bindparam("p_user"), created_at=bindparam("p_now"))
    .on_conflict_do_nothing()
)


@lru_cache
def _owner(role: Role) -> Statement:
    return Statement(select(Slot.creator_id).where(Slot.id == bindparam("p_id"), policy.visible(role)))


async def invitees(db: Db, actor: Actor, slot_id: UUID) -> Reply:
    """Who may see the slot when it is Private. Raises NotFound, Forbidden."""
    row: Record | None = await _owner(actor.role).one(db, p_id=slot_id, p_actor=actor.id)
    if row is None:
        raise NotFound
    must_own(actor, row)
    return await _invitees(db, slot_id)


async def _invitees(db: Db, slot_id: UUID) -> Reply:
    value = {"userIds": [row["user_id"] for row in await _INVITEES.rows(db, p_id=slot_id)]}
    return whole(value)


async def invite(tx: Tx, actor: Actor, slot_id: UUID, user_ids: list[UUID], if_match: IfMatch) -> Reply:
    """Exactly these buyers are invited from now on. Raises Invalid for an id that is no active buyer's."""
    await _lock_own(tx, actor, slot_id)
    if if_match.given:
        if_match.must_allow((await _invitees(tx, slot_id)).etag)
    wanted = list(dict.fromkeys(user_ids))
    known = {row["id"] for row in await _KNOWN_BUYERS.rows(tx, p_ids=wanted, p_id=slot_id)}
    if unknown := [index for index, user_id in enumerate(user_ids) if user_id not in known]:
        raise Invalid(
            "Only active advertisers and merchants can be invited.",
            [{"field": f"userIds.{index}", "message": "is not an active buyer"} for index in unknown],
            code="unknown_buyer",
        )
    await _UNINVITE.one(tx, p_id=slot_id, p_ids=wanted)
    now = clock.now()
    if wanted:
        await _INVITE.many(tx, [{"p_id": slot_id, "p_user": user_id, "p_now": now} for user_id in wanted])
    line = events.line(actor, "slot.invited", (SubjectType.SLOT, slot_id), count=len(wanted))
    await events.record(tx, line)
    return await _invitees(tx, slot_id)
