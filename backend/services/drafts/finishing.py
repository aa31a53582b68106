"""Finishing the reading of a draft: its scenes are kept, and slots and deals follow theirs, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from backend.core.database import Tx
from backend.core.statements import Statement
from backend.models.projects import Project
from backend.models.scenes import Reading, SceneRow, SceneStatus, ScriptStatus
from backend.schemas.drafts import SceneChange
from backend.services import deals, scenes
from backend.services.deals import Fate
from backend.services.drafts.alignment import Pairing, align
from backend.services.drafts.comparing import parts_of
from backend.services.scenes import Claimed

# Two drafts of a project finish one after the other, and none is added meanwhile.
_LOCK_PROJECT = Statement(
    select(Project.id)
    .where(Project.id == bindparam("p_project"), Project.removed_at.is_(None))
    .with_for_update(key_share=True)
)
_LATER = Statement(
    select(Reading.draft_number)
    .where(
        Reading.project_id == bindparam("p_project"),
        Reading.draft_number > bindparam("p_draft"),
        Reading.status == ScriptStatus.READY.value,
    )
    .limit(1)
)
_DRAFTS_OF = Statement(
    select(SceneRow.draft_number)
    .where(SceneRow.id == func.any(bindparam("p_scenes", type_=ARRAY(Uuid()))))
    .distinct()
    .order_by(SceneRow.draft_number)
)


async def finish(tx: Tx, claimed: Claimed, found: Sequence[dict[str, Any]], reason: str | None) -> None:
    """Keep the scenes, or why there are none; then let what names a scene of a former draft follow it to this one.

    What was finished before is left as it is. A draft that could not be read says nothing of any scene, nor does one
    that was read after a newer one.
    """
    project = await _LOCK_PROJECT.value(tx, p_project=claimed.project_id)
    kept = await scenes.finish(tx, claimed, found, reason)
    if not kept or reason is not None or project is None:
        return
    if await _LATER.value(tx, p_project=claimed.project_id, p_draft=claimed.draft_number) is not None:
        return
    named = await deals.lock_named(tx, claimed.project_id)
    fates = await _fates(tx, claimed.project_id, claimed.draft_number, named.scenes)
    await deals.follow_draft(tx, named, fates, claimed.draft_number)


async def _fates(tx: Tx, project_id: UUID, draft: int, named: set[UUID]) -> Mapping[UUID, Fate]:
    """What became of these scenes. Each is compared from the draft that it is of: it may have been flagged since."""
    fates: dict[UUID, Fate] = {}
    if named:
        after = await parts_of(tx, project_id, draft)
        for row in await _DRAFTS_OF.rows(tx, p_scenes=list(named)):
            before = await parts_of(tx, project_id, row["draft_number"])
            for pairing in await asyncio.to_thread(align, before, after):
                if pairing.before is not None:
                    fates[pairing.before.id] = _fate(pairing.before.id, pairing)
    return fates


def _fate(scene_id: UUID, pairing: Pairing) -> Fate:
    """A scene whose words are the same is followed; one that is another now stays named as it was agreed on."""
    match pairing.change:
        case SceneChange.KEPT | SceneChange.MOVED:
            assert pairing.after is not None
            return Fate(pairing.change, pairing.after.id, SceneStatus.CURRENT)
        case SceneChange.CHANGED:
            return Fate(pairing.change, scene_id, SceneStatus.CHANGED)
        case _:
            return Fate(pairing.change, scene_id, SceneStatus.OMITTED)
