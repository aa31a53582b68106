"""The sums of the financing dashboard, from one statement: they are of one moment and agree to the cent."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from asyncpg import Record
from sqlalchemy import (
    ColumnElement,
    Integer,
    Numeric,
    Select,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    null,
    select,
    tuple_,
    union_all,
)

from backend.core import clock
from backend.core.database import Db
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement
from backend.models.bids import Bid
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.projects import Project
from backend.models.slots import Slot
from backend.models.terms import Terms
from backend.models.users import Role, User
from backend.policies import bids as bid_policy
from backend.policies import commitments as policy
from backend.policies import projects as project_policy
from backend.policies.users import Actor

# GROUPING(project, buyer, month) of each grouping set: a bit is set for what the set does not group by.
_BY_PROJECT, _BY_BUYER, _BY_MONTH, _TOTAL = 0b011, 0b101, 0b110, 0b111


def _line(project: Any, buyer: Any = None, month: Any = None, **sums: Any) -> tuple[Any, ...]:
    """The columns of one line of money."""
    return (
        project.label("project_id"),
        cast(null() if buyer is None else buyer, Uuid()).label("buyer_id"),
        cast(null() if month is None else month, Text()).label("month"),
        *(cast(sums.get(name, 0), Numeric()).label(name) for name in ("committed", "completed", "pipeline")),
        cast(sums.get("count", 0), Integer()).label("count"),
    )


def _spent(role: Role) -> Select[Any]:
    """A line for each commitment that is not cancelled."""
    completed: ColumnElement[bool] = policy.EFFECTIVE_STATUS.in_([CommitmentStatus.COMPLETED.value])
    month = func.to_char(func.timezone("UTC", Commitment.created_at), "YYYY-MM")
    return select(
        *_line(
            Commitment.project_id,
            Commitment.buyer_id,
            month,
            committed=Commitment.amount,
            completed=case((completed, Commitment.amount), else_=0),
            count=1,
        )
    ).where(Commitment.status != CommitmentStatus.CANCELLED.value, policy.visible(role))


def _held(role: Role) -> Select[Any]:
    """A line for each bid that holds its slot now and is not committed yet: a slot has one at the most."""
    return (
        select(*_line(Slot.project_id, Bid.buyer_id, pipeline=Terms.amount))
        .select_from(Slot)
        .join(Bid, Bid.id == Slot.holder_bid_id)
        .join(Terms, and_(Terms.bid_id == Bid.id, Terms.version == Bid.terms_version))
        .where(bid_policy.LIVE_ON_PAPER, bid_policy.HOLDS_NOW, bid_policy.visible(role))
    )


@lru_cache
def _sums(role: Role) -> Statement:
    lines = [_spent(role), _held(role)]
    if role is Role.CREATOR:
        lines.append(select(*_line(Project.id)).where(project_policy.visible(role)))
    money = union_all(*lines).subquery()
    groups = (money.c.project_id, money.c.buyer_id, money.c.month)
    sums = select(
        func.grouping(*groups).label("kind"),
        *groups,
        *(func.coalesce(func.sum(money.c[name]), 0).label(name) for name in ("committed", "completed", "pipeline")),
        func.coalesce(func.sum(money.c.count), 0).label("count"),
    )
    sums = sums.group_by(func.grouping_sets(*(tuple_(group) for group in groups), tuple_()))
    found = sums.subquery()
    return Statement(
        select(found, Project.title, Project.budget_target, User.name, User.role)
        .select_from(found)
        .outerjoin(Project, Project.id == found.c.project_id)
        .outerjoin(User, User.id == found.c.buyer_id)
        .order_by(Project.created_at.desc(), Project.id.desc(), found.c.month, found.c.committed.desc(), User.id)
    )


async def find(db: Db, actor: Actor) -> Reply:
    """The caller's sums: a creator's projects, a buyer's own spend, for operators everything.

    Commitments that are cancelled count nowhere. Projects are newest first (a creator's all, for others those with
    money in them), months are UTC and oldest first, buyers by what they have committed.
    """
    rows = await _sums(actor.role).rows(db, p_actor=actor.id, p_now=clock.now())
    total = next(row for row in rows if row["kind"] == _TOTAL)
    value: dict[str, Any] = {
        "totalCommitted": total["committed"],
        "totalCompleted": total["completed"],
        "pipeline": total["pipeline"],
        "commitmentCount": int(total["count"]),
        "byProject": [_project(row, actor) for row in rows if row["kind"] == _BY_PROJECT],
        "byMonth": [
            {"month": row["month"], "committed": row["committed"]}
            for row in rows
            if row["kind"] == _BY_MONTH and row["month"] is not None
        ],
    }
    if actor.role is Role.OPERATOR:
        value["byUser"] = [_user(row) for row in rows if row["kind"] == _BY_BUYER]
    return Reply(encode(value))


def _project(row: Record, actor: Actor) -> dict[str, Any]:
    budget: Decimal = row["budget_target"]
    whole = actor.role in (Role.CREATOR, Role.OPERATOR) and budget > 0
    return {
        "projectId": row["project_id"],
        "title": row["title"],
        "budgetTarget": budget,
        "committed": row["committed"],
        "completed": row["completed"],
        "pipeline": row["pipeline"],
        "fundedRatio": round(row["committed"] / budget, 4) if whole else None,
    }


def _user(row: Record) -> dict[str, Any]:
    return {
        "userId": row["buyer_id"],
        "name": row["name"],
        "role": row["role"],
        "committed": row["committed"],
        "completed": row["completed"],
        "pipeline": row["pipeline"],
    }
