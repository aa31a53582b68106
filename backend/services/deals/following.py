"""Follow: what a new draft means for slots and deals that name a scene, under their locks.

Bids that have ended and slots that are done keep the scene that they were about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import and_, bindparam, or_, select, update

from backend.core import clock
from backend.core.database import Tx
from backend.core.statements import Statement
from backend.models.bids import Bid, BidStatus
from backend.models.events import SubjectType
from backend.models.mails import MailKind
from backend.models.scenes import SceneStatus
from backend.models.slots import Slot, SlotStatus
from backend.policies import bids as policy
from backend.policies.slots import EFFECTIVE_STATUS, PRESENT
from backend.services import events, notifications
from backend.services.deals.saving import SYSTEM

# Whether or not they name a scene: a deal may name one where its slot does not.
_LOCK_SLOTS = Statement(
    select(Slot.id).where(Slot.project_id == bindparam("p_project"), PRESENT).order_by(Slot.id).with_for_update()
)
_OPEN = (Slot.project_id == bindparam("p_project"), PRESENT, ~EFFECTIVE_STATUS.in_([SlotStatus.COMPLETED.value]))
_SLOTS = Statement(
    select(Slot.id, Slot.scene_id, Slot.scene_status).where(*_OPEN, Slot.scene_id.is_not(None)).order_by(Slot.id)
)
_DEALS = Statement(
    select(Bid.id, Bid.scene_id, Bid.scene_status, Bid.creator_id, Bid.buyer_id)
    .join(Slot, Slot.id == Bid.slot_id)
    .where(
        *_OPEN,
        Bid.scene_id.is_not(None),
        or_(and_(policy.LIVE_ON_PAPER, ~policy.OVERDUE), Bid.status == BidStatus.COMMITTED.value),
    )
    .order_by(Bid.id)
    .with_for_update(of=Bid)
)
_PLACE: dict[str, Any] = {"scene_id": bindparam("p_scene"), "scene_status": bindparam("p_status")}
_MOVE_SLOT = Statement(update(Slot).where(Slot.id == bindparam("p_id")).values(**_PLACE, updated_at=bindparam("p_now")))
# Where the scene of a deal stands is no news; what became of it is.
_MOVE_DEAL = Statement(update(Bid).where(Bid.id == bindparam("p_id")).values(**_PLACE))
_FLAG_DEAL = Statement(update(Bid).where(Bid.id == bindparam("p_id")).values(**_PLACE, updated_at=bindparam("p_now")))


@dataclass(frozen=True, slots=True)
class Fate:
    """What a draft did to a scene: the change, where it stands now (or stood last), what whoever names it shows."""

    change: str
    scene_id: UUID
    status: SceneStatus


@dataclass(frozen=True, slots=True)
class Named:
    """The slots and deals of a project that name a scene, locked and judged at `now`."""

    slots: Sequence[Record]
    deals: Sequence[Record]
    now: datetime

    @property
    def scenes(self) -> set[UUID]:
        """The scenes that they name."""
        return {row["scene_id"] for row in (*self.slots, *self.deals)}


async def lock_named(tx: Tx, project_id: UUID) -> Named:
    """Lock the slots of a project by id, then the deals on them that are live or committed."""
    await _LOCK_SLOTS.rows(tx, p_project=project_id)
    now = clock.now()
    slots = await _SLOTS.rows(tx, p_project=project_id, p_now=now)
    return Named(slots, await _DEALS.rows(tx, p_project=project_id, p_now=now), now)


async def follow_draft(tx: Tx, named: Named, fates: Mapping[UUID, Fate], draft: int) -> None:
    """Slots and deals go with their scene, or are flagged; both sides of a deal that is flagged are told."""
    lines: list[dict[str, Any]] = []
    for row, fate in _changed(named.slots, fates):
        await _MOVE_SLOT.one(tx, **_place(row, fate, named.now))
        action = "slot.scene_followed" if fate.status is SceneStatus.CURRENT else "slot.scene_flagged"
        subject = (SubjectType.SLOT, row["id"])
        lines.append(events.line(SYSTEM, action, subject, draft=draft, change=fate.change, scene_id=fate.scene_id))
    for row, fate in _changed(named.deals, fates):
        if fate.status == row["scene_status"]:
            await _MOVE_DEAL.one(tx, **_place(row, fate, named.now))
            continue
        await _FLAG_DEAL.one(tx, **_place(row, fate, named.now))
        flagged = fate.status is not SceneStatus.CURRENT
        action = "bid.scene_flagged" if flagged else "bid.scene_restored"
        subject = (SubjectType.BID, row["id"])
        lines.append(events.line(SYSTEM, action, subject, bid_id=row["id"], draft=draft, scene_status=fate.status))
        for person in (row["creator_id"], row["buyer_id"]) if flagged else ():
            notifications.queue(tx, MailKind.SCENE_FLAGGED, person, once=f"{row['id']}/{draft}", bid_id=row["id"])
    if lines:
        await events.record(tx, *lines)


def _changed(rows: Iterable[Record], fates: Mapping[UUID, Fate]) -> Iterable[tuple[Record, Fate]]:
    """Those for whom the draft changes something."""
    for row in rows:
        fate = fates[row["scene_id"]]
        if (fate.scene_id, fate.status) != (row["scene_id"], row["scene_status"]):
            yield row, fate


def _place(row: Record, fate: Fate, now: datetime) -> dict[str, Any]:
    return {"p_id": row["id"], "p_scene": fate.scene_id, "p_status": fate.status.value, "p_now": now}
