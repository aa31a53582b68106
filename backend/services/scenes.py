"""Scenes: what was read from the current draft of a project, and the reading itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import and_, bindparam, insert, select, update

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import Invalid, NotFound
from backend.core.ids import new_id
from backend.core.shapes import Reply, Shape, encode
from backend.core.statements import Statement, binds, prefixed
from backend.models.events import ActorRole, SubjectType
from backend.models.projects import Draft, Project
from backend.models.scenes import Reading, SceneRow, SceneStatus, ScriptStatus
from backend.models.users import Role
from backend.policies import projects as project_policy
from backend.policies.scenes import must_read_script
from backend.policies.users import Actor
from backend.schemas.scenes import SceneOut
from backend.schemas.views import Paper
from backend.services import events

MOST_ATTEMPTS = 3
LEASE = timedelta(minutes=2)

_SCENE: Shape[None] = Shape(SceneOut, {name: getattr(SceneRow, name) for name in SceneOut.model_fields})
_OF_DRAFT = Statement(
    select(*_SCENE.columns)
    .where(SceneRow.project_id == bindparam("p_project"), SceneRow.draft_number == bindparam("p_draft"))
    .order_by(SceneRow.position)
)


@lru_cache
def _project(role: Role) -> Statement:
    return Statement(
        select(Project.creator_id, Project.draft_number, Project.budget_target).where(
            Project.id == bindparam("p_id"), project_policy.visible(role)
        )
    )


async def must_read(db: Db, actor: Actor, project_id: UUID) -> Any:
    """The project's row (`creator_id, draft_number, budget_target`) for who may read its script.

    Raises NotFound, Forbidden.
    """
    row = await _project(actor.role).one(db, p_id=project_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    must_read_script(actor, row)
    return row


async def find_all(tx: Tx, actor: Actor, project_id: UUID) -> Reply:
    """The scenes of the current draft in their order; none while it is being read. Raises NotFound, Forbidden."""
    project = await must_read(tx, actor, project_id)
    rows = await _OF_DRAFT.rows(tx, p_project=project_id, p_draft=project["draft_number"])
    await events.viewed(tx, actor, Paper.SCENES, project_id, project["draft_number"])
    return Reply(encode([_SCENE.value(row, None) for row in rows]))


_IS_CURRENT = Statement(
    select(SceneRow.id)
    .join(Project, and_(Project.id == SceneRow.project_id, Project.draft_number == SceneRow.draft_number))
    .where(SceneRow.id == bindparam("p_scene"), Project.id == bindparam("p_project"))
)


async def must_be_current(tx: Tx, project_id: UUID, scene_id: UUID) -> None:
    """Raises Invalid `unknown_scene` unless the scene is one of the project's current draft.

    The caller holds the lock of the slot that is to name it, or of the project. What a new draft does to the scenes of
    slots is written under these locks, too: it comes before this look, or sees what follows from it.
    """
    if await _IS_CURRENT.value(tx, p_scene=scene_id, p_project=project_id) is None:
        raise Invalid.field("sceneId", "is not a scene of the project's current draft", code="unknown_scene")


def status_of(scene_id: UUID | None) -> str | None:
    """The status of a scene as it is named: out of the current draft."""
    return None if scene_id is None else SceneStatus.CURRENT.value


# The reading.

_BEGIN = Statement(
    insert(Reading).values(
        **binds("project_id", "draft_number", "created_at"), status=ScriptStatus.PROCESSING.value, attempts=0
    )
)
_CLAIM = Statement(
    select(Reading.project_id, Reading.draft_number, Reading.attempts, Draft.storage_key, Draft.file_name)
    .join(Draft, and_(Draft.project_id == Reading.project_id, Draft.number == Reading.draft_number))
    .where(
        Reading.status == ScriptStatus.PROCESSING.value,
        Reading.leased_until.is_(None) | (Reading.leased_until <= bindparam("p_now")),
    )
    .order_by(Reading.created_at)
    .limit(1)
    .with_for_update(of=Reading, skip_locked=True)
)
_THIS = (Reading.project_id == bindparam("p_project"), Reading.draft_number == bindparam("p_draft"))
_LEASE = Statement(
    update(Reading).where(*_THIS).values(leased_until=bindparam("p_until"), attempts=Reading.attempts + 1)
)
_FINISH = Statement(
    update(Reading)
    .where(*_THIS, Reading.status == ScriptStatus.PROCESSING.value)
    .values(**binds("status", "reason", "finished_at"), leased_until=None)
    .returning(Reading.project_id)
)
_SCENE_COLUMNS = (
    "id",
    "project_id",
    "draft_number",
    "position",
    "number",
    "heading",
    "setting",
    "location",
    "time_of_day",
    "page",
    "eighths",
    "estimated_seconds",
    "characters",
    "excerpt",
    "passages",
)
_ADD_SCENE = Statement(insert(SceneRow).values(**binds(*_SCENE_COLUMNS)))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A draft that is this worker's to read."""

    project_id: UUID
    draft_number: int
    storage_key: str
    file_name: str
    attempts: int


async def begin(tx: Tx, project_id: UUID, draft_number: int) -> None:
    """A new draft waits to be read."""
    await _BEGIN.one(tx, p_project_id=project_id, p_draft_number=draft_number, p_created_at=clock.now())


async def claim(tx: Tx) -> Claimed | None:
    """The draft that has waited longest, leased to the caller; None when none waits."""
    now = clock.now()
    row = await _CLAIM.one(tx, p_now=now)
    if row is None:
        return None
    await _LEASE.one(tx, p_project=row["project_id"], p_draft=row["draft_number"], p_until=now + LEASE)
    return Claimed(**{name: row[name] for name in Claimed.__slots__})


async def finish(tx: Tx, claimed: Claimed, scenes: Sequence[dict[str, Any]], reason: str | None) -> bool:
    """Keep the scenes, or why there are none. Answers False for a draft that another worker finished meanwhile."""
    status = ScriptStatus.UNREADABLE if reason is not None else ScriptStatus.READY
    finished = await _FINISH.value(
        tx,
        p_project=claimed.project_id,
        p_draft=claimed.draft_number,
        p_status=status.value,
        p_reason=reason,
        p_finished_at=clock.now(),
    )
    if finished is None:
        return False
    rows = [_row(claimed, position, scene) for position, scene in enumerate(scenes, 1)]
    if rows:
        await _ADD_SCENE.many(tx, rows)
    line = events.line(
        ActorRole.SYSTEM,
        "project.script_read",
        (SubjectType.PROJECT, claimed.project_id),
        draft=claimed.draft_number,
        outcome=status,
        scenes=len(rows),
    )
    await events.record(tx, line)
    return True


def _row(claimed: Claimed, position: int, scene: dict[str, Any]) -> dict[str, Any]:
    values = {name: scene[name] for name in _SCENE_COLUMNS[4:-1]}
    return prefixed(
        {
            "id": new_id(),
            "project_id": claimed.project_id,
            "draft_number": claimed.draft_number,
            "position": position,
            **values,
            "passages": scene["paragraphs"],
        }
    )
