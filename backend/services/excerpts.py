"""Excerpts: a scene's heading and a few lines around what makes it a slot. Buyers never see more of a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, select

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Conflict, NotFound
from backend.core.logging import request_id
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement
from backend.core.wording import breakable, moment
from backend.integrations.typst import typeset
from backend.models.bids import LIVE, Bid, BidStatus
from backend.models.projects import Project
from backend.models.scenes import SceneRow
from backend.models.slots import Slot
from backend.models.terms import Terms
from backend.models.users import Role, User
from backend.policies import bids as bid_policy
from backend.policies import slots as slot_policy
from backend.policies.deals import party_of
from backend.policies.users import Actor
from backend.schemas.views import Paper
from backend.services import deals, events
from backend.services.suggestions import lexicon

_UNREAD = ("character", "transition")  # nothing is placed in a name or a cut
_AROUND = 1  # paragraphs before and after the one with the evidence
_MOST = 240  # characters of a paragraph
_SHOWN_TO = {*LIVE, BidStatus.COMMITTED}

SCENE = {
    "scene_id": SceneRow.id,
    "scene_number": SceneRow.number,
    "heading": SceneRow.heading,
    "page": SceneRow.page,
    "passages": SceneRow.passages,
    "scene_draft": SceneRow.draft_number,
    "category": Slot.suggested_category,
}
_SCENE = [column.label(name) for name, column in SCENE.items()]


def lines_of(passages: Sequence[Sequence[str]], category: str | None) -> list[str]:
    """The paragraph in which a thing of this category first stands, with its neighbours, each cut to 240 characters.

    None where the slot is for no category, or the thing stands in the heading alone.
    """
    for index, (kind, words) in enumerate(passages):
        hit = next((each for each in lexicon.find(words) if each.entry.iab_id == category), None)
        if hit is not None and kind not in _UNREAD:
            before = [_last(each) for _, each in passages[max(0, index - _AROUND) : index]]
            after = [_first(each) for _, each in passages[index + 1 : index + 1 + _AROUND]]
            return [*before, _about(words, hit), *after]
    return []


def _first(words: str) -> str:
    return words if len(words) <= _MOST else f"{words[:_MOST]}…"


def _last(words: str) -> str:
    return words if len(words) <= _MOST else f"…{words[-_MOST:]}"


def _about(words: str, hit: lexicon.Hit) -> str:
    """As much around the hit as is shown of any paragraph."""
    start = max(0, min(hit.start - (_MOST - (hit.end - hit.start)) // 2, len(words) - _MOST))
    shown = words[start : start + _MOST]
    return f"{'…' if start else ''}{shown}{'…' if start + _MOST < len(words) else ''}"


# Of a slot, for whoever may see it.


@lru_cache
def _of_slot(role: Role) -> Statement:
    return Statement(
        select(Slot.id, Slot.project_id, *_SCENE)
        .outerjoin(SceneRow, SceneRow.id == Slot.scene_id)
        .where(Slot.id == bindparam("p_slot"), slot_policy.visible(role))
    )


async def of_slot(tx: Tx, actor: Actor, slot_id: UUID) -> Reply:
    """What a slot shows of its scene: a view, unless it names none. Raises NotFound."""
    row = await _of_slot(actor.role).one(tx, p_slot=slot_id, p_actor=actor.id)
    if row is None:
        raise NotFound
    if row["scene_id"] is not None:
        await events.viewed(tx, actor, Paper.EXCERPT, row["project_id"], row["scene_draft"], slot_id=slot_id)
    return Reply(
        encode(
            {
                "slotId": slot_id,
                "sceneId": row["scene_id"],
                "number": row["scene_number"],
                "heading": row["heading"],
                "page": row["page"],
                "lines": lines_of(row["passages"] or (), row["category"]),
            }
        )
    )


# Of a deal, as a PDF with its reader's name across it.


@lru_cache
def _of_bid(role: Role) -> Statement:
    return Statement(
        select(
            *(column.label(name) for name, column in deals.SITUATION.items()),
            Bid.slot_id,
            Bid.creator_id,
            Bid.buyer_id,
            Slot.project_id,
            Project.title,
            User.name.label("reader"),
            *_SCENE,
        )
        .select_from(Bid)
        .join(Slot, Slot.id == Bid.slot_id)
        .join(Project, Project.id == Slot.project_id)
        .join(Terms, and_(Terms.bid_id == Bid.id, Terms.version == Bid.terms_version))
        .join(User, User.id == bindparam("p_actor"))
        .outerjoin(SceneRow, SceneRow.id == Terms.scene_id)
        .where(Bid.id == bindparam("p_bid"), bid_policy.visible(role))
    )


@dataclass(frozen=True, slots=True)
class Excerpt:
    """An excerpt ready to be set: its file name, its date and what it says."""

    file_name: str
    dated: datetime
    data: dict[str, Any]


async def of_bid(tx: Tx, actor: Actor, bid_id: UUID) -> Excerpt:
    """The excerpt of the scene that a deal's terms are about, for this reader and this view alone.

    Raises NotFound; Conflict `wrong_state` for a bid that has ended, `no_scene` for terms that name no scene.
    """
    row = await _of_bid(actor.role).one(tx, p_bid=bid_id, p_actor=actor.id, p_now=clock.now())
    if row is None:
        raise NotFound
    _must_be_shown(actor, row)
    about = {"slot_id": row["slot_id"], "bid_id": bid_id}
    view_id = await events.viewed(tx, actor, Paper.EXCERPT_PDF, row["project_id"], row["scene_draft"], **about)
    now = clock.now()
    data = {
        "title": f"Excerpt: {row['title']}",
        "project": breakable(row["title"]),
        "reference": str(bid_id),
        "number": row["scene_number"],
        "heading": breakable(row["heading"]),
        "page": row["page"],
        "lines": [breakable(each) for each in lines_of(row["passages"], row["category"])],
        "reader": breakable(row["reader"]),
        "role": actor.role.value,
        "at": moment(now),
        "request": breakable(request_id()),
        "view": str(view_id),
    }
    return Excerpt(f"Excerpt – {row['title']} – {str(bid_id)[-12:]}.pdf", now, data)


def _must_be_shown(actor: Actor, row: Record) -> None:
    """Raises Conflict for a bid that has ended, or that names no scene."""
    deal = deals.situation(row)
    allowed = list(bid_policy.allowed_actions(deal, party_of(actor, row["creator_id"], row["buyer_id"])))
    if deal.status not in _SHOWN_TO:
        raise Conflict(
            "The excerpt is shown while the bid lives or is Committed.",
            code="wrong_state",
            currentStatus=deal.status,
            allowedActions=allowed,
        )
    if row["scene_id"] is None:
        raise Conflict(
            "These terms name no scene of the script.",
            code="no_scene",
            currentStatus=deal.status,
            allowedActions=allowed,
        )


async def render(excerpt: Excerpt) -> bytes:
    """The PDF."""
    return await typeset("excerpt", excerpt.data, excerpt.dated)
