"""Making slots out of suggestions: all of them or none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, select

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Conflict, Invalid, NotFound
from backend.core.shapes import Reply
from backend.core.statements import Statement
from backend.models.projects import Project
from backend.models.scenes import Reading, ScriptStatus
from backend.models.users import Role
from backend.policies import projects as project_policy
from backend.policies.projects import must_own
from backend.policies.users import Actor
from backend.schemas.slots import SlotIn
from backend.schemas.suggestions import SuggestedSlotsIn
from backend.services import slots
from backend.services.suggestions import finding
from backend.services.suggestions.scoring import Suggestion


@lru_cache
def _lock(role: Role) -> Statement:
    return Statement(
        select(Project.creator_id, Project.genre, Project.draft_number, Project.budget_target)
        .where(Project.id == bindparam("p_id"), project_policy.visible(role))
        .with_for_update(key_share=True)
    )


_STATUS = Statement(
    select(Reading.status).where(
        Reading.project_id == bindparam("p_project"), Reading.draft_number == bindparam("p_draft")
    )
)


async def take(tx: Tx, actor: Actor, project_id: UUID, body: SuggestedSlotsIn) -> Reply:
    """The slots made of the suggestions that the body names, each once, in that order.

    Under the project's lock: of two who take the same suggestion one comes second, and no new draft comes in between.
    Raises NotFound, Forbidden, Conflict (`draft_not_ready`, `suggestion_taken`), Invalid (`unknown_suggestion`).
    """
    project = await _lock(actor.role).one(tx, p_id=project_id, p_actor=actor.id, p_now=clock.now())
    if project is None:
        raise NotFound
    must_own(actor, project)
    status = await _STATUS.value(tx, p_project=project_id, p_draft=project["draft_number"])
    if status != ScriptStatus.READY.value:
        raise Conflict(f"The current draft is {status}: it suggests nothing.", code="draft_not_ready")
    replies = []
    for scene, suggestion in await _chosen(tx, project_id, project, body.suggestion_ids):
        slot = SlotIn.model_validate(_slot(project_id, body, scene, suggestion))
        slot_id = await slots.add(tx, actor, slot, project["genre"], suggestion.iab_id)
        replies.append((await slots.get(tx, actor, slot_id)).body)
    return Reply(b"[" + b",".join(replies) + b"]")


async def _chosen(tx: Tx, project_id: UUID, project: Record, ids: list[UUID]) -> list[tuple[Record, Suggestion]]:
    """The named suggestions, each once. Raises Invalid for one that there is not, Conflict for one that is a slot."""
    found = {each[1].id: each for each in await finding.of_draft(tx, project_id, project)}
    if unknown := [index for index, each in enumerate(ids) if each not in found]:
        message = "is not a suggestion of the current draft"
        raise Invalid(
            "Only suggestions of the current draft become slots.",
            [{"field": f"suggestionIds.{index}", "message": message} for index in unknown],
            code="unknown_suggestion",
        )
    chosen = [found[each] for each in dict.fromkeys(ids)]
    taken = await finding.taken(tx, project_id)
    if made := [each.category for _, each in chosen if (each.scene_id, each.iab_id) in taken]:
        raise Conflict(f"There are slots of these already: {', '.join(made)}.", code="suggestion_taken")
    return chosen


def _slot(project_id: UUID, body: SuggestedSlotsIn, scene: Record, suggestion: Suggestion) -> dict[str, Any]:
    """What a suggestion says of its slot. Buyers read it: the heading and the words that were found, no more."""
    words = dict.fromkeys(each.text for each in suggestion.evidence)
    return {
        "projectId": project_id,
        "sceneId": suggestion.scene_id,
        "sceneRef": f"{scene['number']}. {scene['heading']}" if scene["number"] else scene["heading"],
        "description": f"{suggestion.category}: {', '.join(words)}",
        "type": suggestion.type,
        "pricingFloor": suggestion.low if body.pricing_floor is None else body.pricing_floor,
        "modality": body.modality,
        "visibility": body.visibility,
    }
