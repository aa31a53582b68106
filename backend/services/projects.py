"""Projects: a script with its financing frame, and the drafts of the script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, func, insert, select, update

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import Invalid, NotFound
from backend.core.ids import new_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import IfMatch, Reply, Shape
from backend.core.statements import Statement, binds, prefixed
from backend.core.tokens import Links
from backend.core.uploads import Kept
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.events import SubjectType
from backend.models.projects import Draft, Project
from backend.models.scenes import Reading
from backend.models.slots import Slot
from backend.models.users import BUYERS, Role
from backend.policies import projects as policy
from backend.policies.scenes import must_read_script
from backend.policies.users import Actor, must_be
from backend.schemas.projects import ProjectIn, ProjectOut, ProjectPatch
from backend.schemas.views import Paper
from backend.services import deals, events, scenes

VOLATILE = ("docLink",)


@dataclass(frozen=True, slots=True)
class View:
    """Who reads a project, and what signs its links."""

    actor: Actor
    links: Links


def _doc_link(row: Record, view: View) -> str | None:
    if view.actor.role in BUYERS:
        return None
    lifetime = timedelta(seconds=view.links.lifetime)
    return view.links.sign(f"/api/v1/projects/{row['id']}/script", view.actor.id, clock.now() + lifetime)


def _committed_amount(row: Record, view: View) -> Any:
    return None if view.actor.role in BUYERS else row["_committed"]


def _reason(row: Record, view: View) -> Any:
    """What is wrong with the script is its owner's affair, and the operators'."""
    return None if view.actor.role in BUYERS else row["_reason"]


_COMMITTED = (
    select(func.coalesce(func.sum(Commitment.amount), 0))
    .where(Commitment.project_id == Project.id, Commitment.status != CommitmentStatus.CANCELLED.value)
    .scalar_subquery()
)


def _reading(column: Any) -> Any:
    """A column of the current draft's reading."""
    return (
        select(column)
        .where(Reading.project_id == Project.id, Reading.draft_number == Project.draft_number)
        .scalar_subquery()
    )


DEMOGRAPHICS = {"age_start": Project.age_start, "age_end": Project.age_end, "gender": Project.gender}
_PROJECT: Shape[View] = Shape(
    ProjectOut,
    {
        **{
            name: getattr(Project, name)
            for name in (
                "id",
                "creator_id",
                "title",
                "genre",
                "logline",
                "budget_target",
                "production_window",
                "created_at",
                "updated_at",
            )
        },
        "demographics": DEMOGRAPHICS,
        "script_status": _reading(Reading.status),
    },
    derived={"doc_link": _doc_link, "committed_amount": _committed_amount, "script_status_reason": _reason},
    extra={"committed": _COMMITTED, "reason": _reading(Reading.reason)},
)
_NEWEST = Sort("-createdAt", Project.created_at, Project.id, descending=True)


@lru_cache
def _find(role: Role) -> Statement:
    return Statement(select(*_PROJECT.columns).where(Project.id == bindparam("p_id"), policy.visible(role)))


@lru_cache
def _list(role: Role, *, after: bool) -> Statement:
    return Statement(_NEWEST.apply(select(*_PROJECT.columns).where(policy.visible(role)), after=after))


@lru_cache
def _lock(role: Role) -> Statement:
    return Statement(
        select(Project.id, Project.creator_id, Project.age_start, Project.age_end, Project.draft_number)
        .where(Project.id == bindparam("p_id"), policy.visible(role))
        # Not FOR UPDATE: whoever holds a slot may refer to its project (a commitment does) and must not wait for us.
        .with_for_update(key_share=True)
    )


_COLUMNS = (
    "id",
    "creator_id",
    "title",
    "genre",
    "logline",
    "budget_target",
    "production_window",
    "age_start",
    "age_end",
    "gender",
)
_CREATE = Statement(
    insert(Project).values(
        **binds(*_COLUMNS),
        draft_number=1,
        created_at=bindparam("p_now"),
        updated_at=bindparam("p_now"),
    )
)
_DRAFT_COLUMNS = ("project_id", "number", "storage_key", "file_name", "media_type", "size", "sha256", "created_at")
_ADD_DRAFT = Statement(insert(Draft).values(**binds(*_DRAFT_COLUMNS)))
_REMOVE = Statement(
    update(Project)
    .where(Project.id == bindparam("p_id"))
    .values(removed_at=bindparam("p_now"), updated_at=bindparam("p_now"))
)
# Slots by id, before the update below touches them in whatever order it finds them (deals.md, locks in one order).
_LOCK_SLOTS = Statement(select(Slot.id).where(Slot.project_id == bindparam("p_id")).order_by(Slot.id).with_for_update())
_COPY_GENRE = Statement(update(Slot).where(Slot.project_id == bindparam("p_id")).values(genre=bindparam("p_genre")))


@lru_cache
def _current_draft(role: Role) -> Statement:
    return Statement(
        select(Project.creator_id, Draft.number, Draft.storage_key, Draft.file_name, Draft.media_type, Draft.size)
        .join(Draft, (Draft.project_id == Project.id) & (Draft.number == Project.draft_number))
        .where(Project.id == bindparam("p_id"), policy.visible(role))
    )


async def get(db: Db, actor: Actor, project_id: UUID, links: Links) -> Reply:
    """One project. Raises NotFound."""
    row = await _find(actor.role).one(db, p_id=project_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    return _PROJECT.reply(row, View(actor, links), volatile=VOLATILE)


async def find_all(db: Db, actor: Actor, page: Page, links: Links) -> Reply:
    """The projects the caller may see, newest first."""
    rows = await _list(actor.role, after=page.cursor is not None).rows(
        db, p_actor=actor.id, p_now=clock.now(), **_NEWEST.binds(page)
    )
    return reply_page(rows, page, _NEWEST, _PROJECT, View(actor, links))


async def create(tx: Tx, actor: Actor, body: ProjectIn, kept: Kept, links: Links) -> Reply:
    """A new project with its first draft."""
    must_be(actor, Role.CREATOR)
    project_id = new_id()
    await _CREATE.one(
        tx,
        p_id=project_id,
        p_creator_id=actor.id,
        p_title=body.title,
        p_genre=body.genre,
        p_logline=body.logline,
        p_budget_target=body.budget_target,
        p_production_window=body.production_window,
        p_age_start=body.demographics.age_start,
        p_age_end=body.demographics.age_end,
        p_gender=body.demographics.gender.value,
        p_now=clock.now(),
    )
    await _add_draft(tx, project_id, 1, kept)
    await events.record(tx, events.line(actor, "project.created", (SubjectType.PROJECT, project_id)))
    return await get(tx, actor, project_id, links)


async def _add_draft(tx: Tx, project_id: UUID, number: int, kept: Kept) -> None:
    script = kept.script
    await _ADD_DRAFT.one(
        tx,
        p_project_id=project_id,
        p_number=number,
        p_storage_key=kept.key,
        p_file_name=script.file_name,
        p_media_type=script.media_type,
        p_size=script.size,
        p_sha256=script.sha256,
        p_created_at=clock.now(),
    )
    await scenes.begin(tx, project_id, number)
    kept.adopted = True


async def _lock_own(tx: Tx, actor: Actor, project_id: UUID) -> Record:
    """The caller's own project, locked. Raises NotFound, Forbidden."""
    row = await _lock(actor.role).one(tx, p_id=project_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    policy.must_own(actor, row)
    return row


@lru_cache
def _patch(columns: frozenset[str]) -> Statement:
    return Statement(
        update(Project).where(Project.id == bindparam("p_id")).values(**binds(*columns), updated_at=bindparam("p_now"))
    )


async def patch(tx: Tx, actor: Actor, project_id: UUID, body: ProjectPatch, if_match: IfMatch, links: Links) -> Reply:
    """Change what was sent; the rest stays. Raises NotFound, Forbidden, StaleVersion, Invalid."""
    row = await _lock_own(tx, actor, project_id)
    if if_match.given:
        if_match.must_allow((await get(tx, actor, project_id, links)).etag)
    changes: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set - {"demographics"}}
    if "demographics" in body.model_fields_set:
        changes |= {name: getattr(body.demographics, name) for name in body.demographics.model_fields_set}
    start, end = changes.get("age_start", row["age_start"]), changes.get("age_end", row["age_end"])
    if start is not None and end is not None and start > end:
        raise Invalid.field("demographics.ageStart", "must not be above ageEnd")
    if changes:
        values = prefixed(changes)
        await _patch(frozenset(changes)).one(tx, p_id=project_id, p_now=clock.now(), **values)
        if "genre" in changes:
            await _LOCK_SLOTS.rows(tx, p_id=project_id)
            await _COPY_GENRE.one(tx, p_id=project_id, p_genre=changes["genre"])
        line = events.line(actor, "project.changed", (SubjectType.PROJECT, project_id), fields=sorted(changes))
        await events.record(tx, line)
    return await get(tx, actor, project_id, links)


async def remove(tx: Tx, actor: Actor, project_id: UUID, if_match: IfMatch, links: Links) -> Reply:
    """Hide the project with its slots; live bids on them end. Raises Conflict while a bid holds one of them."""
    await _lock_own(tx, actor, project_id)
    if if_match.given:
        if_match.must_allow((await get(tx, actor, project_id, links)).etag)
    await deals.remove_slots(tx, actor, project_id=project_id)
    await _REMOVE.one(tx, p_id=project_id, p_now=clock.now())
    await events.record(tx, events.line(actor, "project.removed", (SubjectType.PROJECT, project_id)))
    return Reply(b"")


async def replace_script(tx: Tx, actor: Actor, project_id: UUID, kept: Kept, if_match: IfMatch, links: Links) -> Reply:
    """A new draft becomes the current one; the former stay. Raises NotFound, Forbidden, StaleVersion."""
    row = await _lock_own(tx, actor, project_id)
    if if_match.given:
        if_match.must_allow((await get(tx, actor, project_id, links)).etag)
    number = row["draft_number"] + 1
    await _add_draft(tx, project_id, number, kept)
    await _patch(frozenset({"draft_number"})).one(tx, p_id=project_id, p_draft_number=number, p_now=clock.now())
    await events.record(tx, events.line(actor, "project.draft_added", (SubjectType.PROJECT, project_id), draft=number))
    return await get(tx, actor, project_id, links)


async def script(tx: Tx, actor: Actor, project_id: UUID) -> Record:
    """Where the current draft is: key, name, type and size. Raises NotFound; Forbidden for a buyer who sees it."""
    row = await _current_draft(actor.role).one(tx, p_id=project_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    must_read_script(actor, row)
    await events.viewed(tx, actor, Paper.SCRIPT, project_id, row["number"])
    return row
