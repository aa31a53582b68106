"""The record of who got in, who was turned away, and what was taken out; and the search of the whole record.

A sign-in, the end of a session or an export is written in the transaction that makes it so. Refusals are counted in
memory and written by a job: they slow nobody down, cannot fail a request, and however many there are, the lines a
minute have an end (decision 96).
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Text, bindparam, cast, func, literal_column, null, select, union_all
from sqlalchemy.dialects.postgresql import insert

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.ids import new_event_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds, prefixed
from backend.core.tally import Count, Taken
from backend.models.events import ActorRole, Event, SubjectType
from backend.models.security import SecurityEvent
from backend.models.users import Role
from backend.policies.security import Sighting
from backend.policies.users import Actor, must_be
from backend.services import events

log = structlog.get_logger("backdrop.security")

_COLUMNS = (
    "id",
    "at",
    "actor_id",
    "actor_role",
    "action",
    "subject_type",
    "subject_id",
    "client",
    "tally",
    "count",
    "data",
    "request_id",
)
_WRITE = Statement(insert(SecurityEvent).values(**binds(*_COLUMNS)))
_ADD = insert(SecurityEvent).values(**binds(*_COLUMNS))
_COUNT = Statement(
    _ADD.on_conflict_do_update(
        index_elements=[SecurityEvent.tally], set_={"count": SecurityEvent.count + _ADD.excluded.count}
    )
)


def line(
    actor: Actor | ActorRole,
    action: str,
    subject: tuple[SubjectType, UUID],
    *,
    client: str | None = None,
    **data: Any,
) -> dict[str, Any]:
    """One line, ready to be written. `client` is the digest that the door gives, never an address."""
    return events.line(actor, action, subject, **data) | {"p_client": client, "p_tally": None, "p_count": None}


async def record(tx: Tx, *lines: dict[str, Any]) -> None:
    """Write the lines, in the transaction that makes them true."""
    await _WRITE.add_all(tx, lines)


async def write_down(tx: Tx, taken: Taken[Sighting]) -> int:
    """Write what was counted; more of a minute that is there already counts on in its line. Answers how many lines."""
    lines = [_counted(thing, minute, count) for (minute, thing), count in taken.counts.items()]
    if taken.beyond:
        log.warning("security events without a line of their own", count=taken.beyond)
        now = clock.now()
        lines.append(_counted(_BEYOND, now.replace(second=0, microsecond=0), Count(now, None, taken.beyond)))
    # Two processes that write the same lines at once take them in one order.
    await _COUNT.many(tx, sorted(lines, key=lambda each: each["p_tally"]))
    return len(lines)


_BEYOND = Sighting("record.overflowed", None, None, None, ActorRole.SYSTEM.value, None, None)


def _counted(thing: Sighting, minute: datetime, count: Count) -> dict[str, Any]:
    said = {"operation": thing.operation, "code": thing.code}
    return {
        "p_id": new_event_id(),
        "p_at": count.first,
        "p_actor_id": thing.actor_id,
        "p_actor_role": thing.actor_role,
        "p_action": thing.action,
        "p_subject_type": SubjectType.USER.value,
        "p_subject_id": thing.subject_id,
        "p_client": thing.client,
        "p_tally": hashlib.sha256(f"{minute.isoformat()} {astuple(thing)}".encode()).digest(),
        "p_count": count.times,
        "p_data": {name: value for name, value in said.items() if value is not None},
        "p_request_id": count.request_id,
    }


# Searching both records as one.

_NEWEST = Sort("-at", Event.at, Event.id, descending=True)
_NEWEST_SEEN = Sort("-at", SecurityEvent.at, SecurityEvent.id, descending=True)
_SAID: Any = func.jsonb_strip_nulls(
    func.jsonb_build_object(
        literal_column("'client'"), SecurityEvent.client, literal_column("'count'"), SecurityEvent.count
    )
)
_COLUMNS_SEEN: tuple[Any, ...] = (
    SecurityEvent.id,
    SecurityEvent.at,
    SecurityEvent.actor_id,
    SecurityEvent.actor_role,
    SecurityEvent.action,
    SecurityEvent.subject_type,
    SecurityEvent.subject_id,
    cast(null(), Text),  # status
    SecurityEvent.data.op("||")(_SAID),
    SecurityEvent.request_id,
)
# Under the names that a line of the other record has, so that both are read alike.
_SEEN = [column.label(like.name) for column, like in zip(_COLUMNS_SEEN, events.EVENT.columns, strict=True)]
EQUAL = ("actor_id", "actor_role", "subject_type", "subject_id", "action", "client", "request_id")


def _clauses(table: type[Event | SecurityEvent], filters: frozenset[str]) -> list[Any]:
    found = [getattr(table, name) == bindparam(f"p_{name}") for name in EQUAL if name in filters]
    if "since" in filters:
        found.append(table.at >= bindparam("p_since"))
    if "until" in filters:
        found.append(table.at < bindparam("p_until"))
    return found


@cache
def _search(filters: frozenset[str], *, after: bool) -> Statement:
    """The newest page of each record, and the newest of both. The deals' has no clients."""
    seen = _NEWEST_SEEN.apply(select(*_SEEN).where(*_clauses(SecurityEvent, filters)), after=after)
    if "client" in filters:
        return Statement(seen)
    done = _NEWEST.apply(select(*events.EVENT.columns).where(*_clauses(Event, filters)), after=after)
    both = union_all(done.subquery().select(), seen.subquery().select()).subquery()
    return Statement(select(both).order_by(both.c["_sort"].desc(), both.c.id.desc()).limit(bindparam("p_limit")))


async def find_all(db: Db, actor: Actor, filters: dict[str, Any], page: Page) -> Reply:
    """The whole record, newest first. `filters` are names of `EQUAL`, `since` (included) and `until` (not)."""
    must_be(actor, Role.OPERATOR)
    statement = _search(frozenset(filters), after=page.cursor is not None)
    rows = await statement.rows(db, **prefixed(filters), **_NEWEST.binds(page))
    return reply_page(rows, page, _NEWEST, events.EVENT, actor)
