"""What a draft suggests, worked out anew for each answer: the same draft and budget give the same list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, select

from backend.core.database import Db, Tx
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement
from backend.models.scenes import SceneRow
from backend.models.slots import Slot
from backend.policies.users import Actor
from backend.schemas.suggestions import SuggestionOut
from backend.schemas.views import Paper
from backend.services import events, scenes
from backend.services.suggestions.scoring import Passage, SceneText, Suggestion, suggest

_SCENES = Statement(
    select(
        SceneRow.id,
        SceneRow.number,
        SceneRow.heading,
        SceneRow.page,
        SceneRow.eighths,
        SceneRow.characters,
        SceneRow.passages,
    )
    .where(SceneRow.project_id == bindparam("p_project"), SceneRow.draft_number == bindparam("p_draft"))
    .order_by(SceneRow.position)
)
_TAKEN = Statement(
    select(Slot.id, Slot.scene_id, Slot.suggested_category)
    .where(
        Slot.project_id == bindparam("p_project"),
        Slot.suggested_category.is_not(None),
        Slot.scene_id.is_not(None),
        Slot.removed_at.is_(None),
    )
    .order_by(Slot.id.desc())
)
Taken = dict[tuple[UUID, str], UUID]


async def taken(db: Db, project_id: UUID) -> Taken:
    """The slots that suggestions were made into, by scene and category.

    Not by the suggestion's id: after a new draft, a slot that has followed its scene still stands for the suggestion.
    """
    rows = await _TAKEN.rows(db, p_project=project_id)
    return {(row["scene_id"], row["suggested_category"]): row["id"] for row in rows}


async def of_draft(db: Db, project_id: UUID, project: Record) -> list[tuple[Record, Suggestion]]:
    """Each suggestion with the row of its scene, scene by scene; `project` has `draft_number` and `budget_target`."""
    rows = await _SCENES.rows(db, p_project=project_id, p_draft=project["draft_number"])
    return [(row, suggestion) for row in rows for suggestion in suggest(_text(row), project["budget_target"])]


async def find_all(tx: Tx, actor: Actor, project_id: UUID) -> Reply:
    """What the current draft's scenes suggest, scene by scene, the most prominent first in each.

    Raises NotFound, Forbidden: a script is for its owner and operators.
    """
    project = await scenes.must_read(tx, actor, project_id)
    slots = await taken(tx, project_id)
    found = await of_draft(tx, project_id, project)
    await events.viewed(tx, actor, Paper.SUGGESTIONS, project_id, project["draft_number"])
    return Reply(encode([_value(scene, suggestion, slots) for scene, suggestion in found]))


def _text(row: Record) -> SceneText:
    passages = [Passage(kind, words) for kind, words in row["passages"]]
    return SceneText(row["id"], row["heading"], row["eighths"], row["characters"], passages)


def _value(row: Record, suggestion: Suggestion, slots: Taken) -> dict[str, Any]:
    out = SuggestionOut.model_validate(
        {
            "id": suggestion.id,
            "scene": {name: row[name] for name in ("id", "number", "heading", "page")},
            "category": {"name": suggestion.category, "iab_id": suggestion.iab_id},
            "type": suggestion.type,
            "excerpt": suggestion.excerpt,
            "evidence": [
                {"text": each.text, "start": each.start, "end": each.end, "where": each.where}
                for each in suggestion.evidence
            ],
            "signals": {
                "mentions": suggestion.signals.mentions,
                "in_dialogue": suggestion.signals.in_dialogue,
                "touched_by": suggestion.signals.touched_by,
                "page_share": suggestion.signals.page_share,
            },
            "floor_band": {"low": suggestion.low, "high": suggestion.high, "formula": suggestion.formula},
            "slot_id": slots.get((suggestion.scene_id, suggestion.iab_id)),
        }
    )
    return out.model_dump(by_alias=True)
