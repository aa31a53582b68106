"""Drafts of a script, and what a new one did to the scenes of the one before it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, func, select

from backend.core.database import Db, Tx
from backend.core.errors import Conflict, NotFound
from backend.core.shapes import Reply, Shape, encode
from backend.core.statements import Statement
from backend.models.projects import Draft
from backend.models.scenes import Reading, SceneRow, ScriptStatus
from backend.policies.users import Actor
from backend.schemas.drafts import DraftOut
from backend.schemas.views import Paper
from backend.services import events, scenes
from backend.services.drafts.alignment import Part, align

_DRAFT: Shape[None] = Shape(
    DraftOut,
    {
        "number": Draft.number,
        "file_name": Draft.file_name,
        "media_type": Draft.media_type,
        "size": Draft.size,
        "sha256": func.encode(Draft.sha256, "hex"),
        "script_status": Reading.status,
        "scene_count": select(func.count())
        .where(SceneRow.project_id == Draft.project_id, SceneRow.draft_number == Draft.number)
        .scalar_subquery(),
        "created_at": Draft.created_at,
    },
)
_DRAFTS = Statement(
    select(*_DRAFT.columns)
    .join(Reading, and_(Reading.project_id == Draft.project_id, Reading.draft_number == Draft.number))
    .where(Draft.project_id == bindparam("p_project"))
    .order_by(Draft.number)
)
_STATUSES = Statement(
    select(Reading.draft_number, Reading.status).where(
        Reading.project_id == bindparam("p_project"),
        Reading.draft_number.between(bindparam("p_number") - 1, bindparam("p_number")),
    )
)
_PARTS = Statement(
    select(SceneRow.id, SceneRow.number, SceneRow.heading, SceneRow.page, SceneRow.passages)
    .where(SceneRow.project_id == bindparam("p_project"), SceneRow.draft_number == bindparam("p_draft"))
    .order_by(SceneRow.position)
)


async def find_all(db: Db, actor: Actor, project_id: UUID) -> Reply:
    """Every draft, oldest first. Raises NotFound, Forbidden."""
    await scenes.must_read(db, actor, project_id)
    rows = await _DRAFTS.rows(db, p_project=project_id)
    return Reply(encode([_DRAFT.value(row, None) for row in rows]))


async def diff(tx: Tx, actor: Actor, project_id: UUID, number: int) -> Reply:
    """A draft against the one before it, scene by scene in the order of the new one.

    Raises NotFound for a draft that is not there or is the first; Conflict while either is not read into scenes.
    """
    await scenes.must_read(tx, actor, project_id)
    statuses = {
        row["draft_number"]: row["status"] for row in await _STATUSES.rows(tx, p_project=project_id, p_number=number)
    }
    if len(statuses) < 2:
        raise NotFound("There is no such draft with one before it.")
    for draft, status in sorted(statuses.items()):
        if status != ScriptStatus.READY.value:
            raise Conflict(f"Draft {draft} is {status}: it has no scenes to compare.", code="draft_not_ready")
    before = await _PARTS.rows(tx, p_project=project_id, p_draft=number - 1)
    after = await _PARTS.rows(tx, p_project=project_id, p_draft=number)
    await events.viewed(tx, actor, Paper.COMPARISON, project_id, number)
    short = {row["id"]: {name: row[name] for name in ("id", "number", "heading", "page")} for row in (*before, *after)}
    lines = await asyncio.to_thread(align, [_part(row) for row in before], [_part(row) for row in after])
    return Reply(
        encode(
            [
                {
                    "change": line.change,
                    "before": _in_short(short, line.before),
                    "after": _in_short(short, line.after),
                    "similarity": line.similarity,
                }
                for line in lines
            ]
        )
    )


async def parts_of(db: Db, project_id: UUID, number: int) -> list[Part]:
    """The scenes of a draft as they are compared."""
    return [_part(row) for row in await _PARTS.rows(db, p_project=project_id, p_draft=number)]


def _part(row: Record) -> Part:
    return Part(row["id"], row["number"], row["heading"], "\n".join(words for _, words in row["passages"]))


def _in_short(short: dict[UUID, dict[str, Any]], part: Part | None) -> dict[str, Any] | None:
    return short[part.id] if part is not None else None
