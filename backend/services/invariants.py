# ruff: noqa: S608 the pieces of SQL that are put together here are constants
"""What must hold whatever happens (deals.md, I1–I8), counted over all rows.

PostgreSQL guards each of them. These counts are written in plain SQL and without the generated columns, policies and
constants that the guards and the services rest on, so that a mistake there does not hide itself here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from backend.core.database import Db
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement
from backend.models.users import Role
from backend.policies.users import Actor, must_be


@dataclass(frozen=True, slots=True)
class Invariant:
    """One rule, with the statement that counts what breaks it."""

    id: str
    statement: str
    count: Statement


# Bids that hold their slot by what they are: deals.md, "A slot is Locked exactly while one bid holds it".
_HOLDERS = """(
    SELECT b.id, b.slot_id FROM bids b
    WHERE b.status IN ('Accepted', 'Committed') OR (b.status IN ('Pending', 'AwaitingFinalApproval') AND (
        b.modality = 'PG/Reservation' OR EXISTS (
            SELECT FROM approvals a
            WHERE a.bid_id = b.id AND a.terms_version = b.terms_version AND a.side = 'creator')))
)"""
_APPROVED = """(
    SELECT count(*) FROM approvals a WHERE a.bid_id = b.id AND a.terms_version = b.terms_version
)"""

_I1 = f"SELECT count(*) FROM (SELECT slot_id FROM {_HOLDERS} h GROUP BY slot_id HAVING count(*) > 1) broken"
_I2 = f"""
    SELECT count(*) FROM slots s
    LEFT JOIN {_HOLDERS} h ON h.id = s.holder_bid_id AND h.slot_id = s.id
    LEFT JOIN commitments c ON c.bid_id = s.holder_bid_id AND c.status = 'Completed'
    WHERE CASE s.status
        WHEN 'Available' THEN
            s.holder_bid_id IS NOT NULL OR EXISTS (SELECT FROM {_HOLDERS} other WHERE other.slot_id = s.id)
        WHEN 'Locked' THEN h.id IS NULL OR c.id IS NOT NULL
        ELSE h.id IS NULL OR c.id IS NULL
    END
"""
_I3 = f"""
    SELECT count(*) FROM bids b
    WHERE b.status <> 'Declined' AND {_APPROVED}
        <> CASE b.status WHEN 'Pending' THEN 0 WHEN 'AwaitingFinalApproval' THEN 1 ELSE 2 END
"""
# Whoever rewrites a row of terms leaves no trace but these: the floor, the gaps, the author in the record.
_I4 = """
    SELECT (
        SELECT count(*) FROM terms t
        WHERE t.amount < t.floor OR NOT EXISTS (
            SELECT FROM events e
            WHERE e.subject_type = 'bid' AND e.subject_id = t.bid_id AND e.actor_id = t.author_id
                AND CASE WHEN t.version = 1 THEN e.action = 'bid.placed'
                    ELSE e.action = 'bid.terms' AND e.data ->> 'version' = t.version::text END)
    ) + (
        SELECT count(*) FROM bids b
        WHERE b.terms_version <> (SELECT count(*) FROM terms t WHERE t.bid_id = b.id)
            OR b.terms_version <> (SELECT coalesce(max(t.version), 0) FROM terms t WHERE t.bid_id = b.id)
    )
"""
_I5 = """
    SELECT count(*) FROM (
        SELECT FROM bids WHERE status <> 'Declined' GROUP BY buyer_id, slot_id HAVING count(*) > 1
    ) broken
"""
_I6 = """
    SELECT count(*) FROM bids b
    WHERE (b.status = 'Declined') <> (b.decline_reason IS NOT NULL) OR (b.status <> 'Declined' AND EXISTS (
        SELECT FROM events e WHERE e.subject_type = 'bid' AND e.subject_id = b.id AND e.status = 'Declined'))
"""
_I7 = f"""
    SELECT (
        SELECT count(*) FROM bids b
        WHERE (SELECT count(*) FROM commitments c WHERE c.bid_id = b.id AND c.status <> 'Cancelled')
            <> CASE b.status WHEN 'Committed' THEN 1 ELSE 0 END
    ) + (
        SELECT count(*) FROM commitments c
        JOIN bids b ON b.id = c.bid_id
        LEFT JOIN terms t ON t.bid_id = c.bid_id AND t.version = c.terms_version
        WHERE c.terms_version <> b.terms_version OR c.amount IS DISTINCT FROM t.amount OR {_APPROVED} <> 2
            OR (c.slot_id, c.creator_id, c.buyer_id) IS DISTINCT FROM (b.slot_id, b.creator_id, b.buyer_id)
    )
"""
_STATES = " UNION ALL ".join(
    f"SELECT '{subject}' AS subject_type, id, status FROM {table}"
    for subject, table in (("bid", "bids"), ("slot", "slots"), ("commitment", "commitments"))
)
# Ids are made in the order of writing. Ids, numbers and closed sets have no blank in them, but for one modality's name.
_I8 = f"""
    SELECT (
        SELECT count(*) FROM ({_STATES}) state
        WHERE state.status IS DISTINCT FROM (
            SELECT e.status FROM events e
            WHERE e.subject_type = state.subject_type AND e.subject_id = state.id AND e.status IS NOT NULL
            ORDER BY e.id DESC LIMIT 1)
    ) + (
        SELECT count(*) FROM events e
        WHERE jsonb_path_exists(
            e.data, '$.** ? (@.type() == "string" && !(@ like_regex "^([A-Za-z0-9_./:+-]{{1,64}}|Private Auction)$"))')
    )
"""

_SECONDS = 300  # for each: every row of every deal is looked at
INVARIANTS = tuple(
    Invariant(name, statement, Statement(text(count)))
    for name, statement, count in (
        ("I1", "At most one bid holds a slot.", _I1),
        (
            "I2",
            "A slot is Locked exactly while a live or Committed bid holds it, Available while none does, and Completed"
            " once its commitment is.",
            _I2,
        ),
        ("I3", "A bid's status says exactly how many approvals its current terms have.", _I3),
        ("I4", "Terms never change, and their amount is not below the floor they were written under.", _I4),
        ("I5", "A buyer has at most one bid on a slot that is not Declined.", _I5),
        ("I6", "A Declined bid has a reason and stays Declined.", _I6),
        (
            "I7",
            "A Committed bid has exactly one commitment that is not cancelled, and no other bid has one; its amount and"
            " version are those approved.",
            _I7,
        ),
        ("I8", "Every change of state has its event, and events hold ids and closed sets only.", _I8),
    )
)


async def violations(db: Db) -> list[tuple[Invariant, int]]:
    """Each invariant with the number of rows that break it: 0 while all is well."""
    async with db.patiently(_SECONDS):
        return [(each, int(await each.count.value(db))) for each in INVARIANTS]


async def find_all(db: Db, actor: Actor) -> Reply:
    """The same for operators."""
    must_be(actor, Role.OPERATOR)
    return Reply(
        encode(
            [{"id": each.id, "statement": each.statement, "violations": count} for each, count in await violations(db)]
        )
    )
