"""I1–I8 of deals.md as queries that answer the ids of what breaks them, and what must add up besides."""

from __future__ import annotations

import asyncpg

from tests.faults.arena import connected

QUERIES = {
    "I1 a slot has one holder at most": """
        SELECT slot_id FROM bids WHERE must_hold GROUP BY slot_id HAVING count(*) > 1""",
    "I2 Locked names a live or Committed holder, Available none, Completed its completed commitment": """
        SELECT slots.id FROM slots LEFT JOIN bids ON bids.id = slots.holder_bid_id
        LEFT JOIN commitments ON commitments.bid_id = slots.holder_bid_id
        WHERE NOT CASE slots.status
            WHEN 'Available' THEN slots.holder_bid_id IS NULL
            WHEN 'Locked' THEN bids.slot_id = slots.id AND bids.status <> 'Declined'
                AND commitments.status IS DISTINCT FROM 'Completed'
                AND (bids.status = 'Committed') = (slots.hold_expires_at IS NULL)
            ELSE bids.slot_id = slots.id AND commitments.status = 'Completed' END""",
    "I2 who must hold, holds": """
        SELECT bids.id FROM bids JOIN slots ON slots.id = bids.slot_id
        WHERE must_hold AND slots.holder_bid_id IS DISTINCT FROM bids.id""",
    "I2 a hold ends with its bid at the latest": """
        SELECT slots.id FROM slots JOIN bids ON bids.id = slots.holder_bid_id
        WHERE slots.hold_expires_at > bids.expires_at""",
    "I3 the status counts the approvals of the current terms": """
        SELECT bids.id FROM bids LEFT JOIN approvals
            ON approvals.bid_id = bids.id AND approvals.terms_version = bids.terms_version
        WHERE bids.status <> 'Declined' GROUP BY bids.id
        HAVING count(approvals.side) <> CASE bids.status
            WHEN 'Pending' THEN 0 WHEN 'AwaitingFinalApproval' THEN 1 ELSE 2 END""",
    "I4 amounts are at or above their floor, versions have no gap": """
        SELECT bid_id FROM terms GROUP BY bid_id
        HAVING bool_or(amount < floor) OR max(version) <> count(*)
            OR max(version) <> (SELECT terms_version FROM bids WHERE bids.id = bid_id)""",
    "I5 one undeclined bid a buyer and slot": """
        SELECT slot_id FROM bids WHERE status <> 'Declined' GROUP BY slot_id, buyer_id HAVING count(*) > 1""",
    "I6 Declined has a reason": """
        SELECT id FROM bids WHERE (status = 'Declined') <> (decline_reason IS NOT NULL)""",
    "I7 a Committed bid has one uncancelled commitment, with the amount both approved": """
        SELECT bids.id FROM bids LEFT JOIN commitments
            ON commitments.bid_id = bids.id AND commitments.status <> 'Cancelled'
        LEFT JOIN terms ON terms.bid_id = bids.id AND terms.version = bids.terms_version
        WHERE (bids.status = 'Committed') <> (commitments.id IS NOT NULL)
            OR commitments.amount <> terms.amount OR commitments.terms_version <> bids.terms_version""",
    "I7 both sides approved what was committed": """
        SELECT commitments.id FROM commitments WHERE 2 <> (
            SELECT count(*) FROM approvals WHERE approvals.bid_id = commitments.bid_id
            AND approvals.terms_version = commitments.terms_version)""",
    "I8 the last event that names a state names the present one": """
        SELECT subject_id FROM (
            SELECT DISTINCT ON (subject_id) subject_id, subject_type, status FROM events
            WHERE status IS NOT NULL ORDER BY subject_id, at DESC, id DESC
        ) AS last
        LEFT JOIN bids ON bids.id = subject_id LEFT JOIN slots ON slots.id = subject_id
        LEFT JOIN commitments ON commitments.id = subject_id
        WHERE last.status <> COALESCE(bids.status, slots.status, commitments.status)""",
    "a sold slot has no live rival": """
        SELECT rival.id FROM bids AS rival JOIN bids AS winner ON winner.slot_id = rival.slot_id
        WHERE winner.status = 'Committed' AND rival.status IN ('Pending', 'AwaitingFinalApproval', 'Accepted')""",
    "a removed slot has no live bid": """
        SELECT bids.id FROM bids JOIN slots ON slots.id = bids.slot_id
        WHERE slots.removed_at IS NOT NULL AND bids.status IN ('Pending', 'AwaitingFinalApproval', 'Accepted')""",
    "a kept key has its answer": """
        SELECT user_id FROM idempotency_keys WHERE status IS NULL OR body IS NULL OR headers IS NULL""",
}


async def violations(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, list[str]]:
    """What is broken: the invariant's words and the ids, nothing when all hold."""
    found = {words: [str(row[0]) for row in await connection.fetch(query)] for words, query in QUERIES.items()}
    return {words: ids for words, ids in found.items() if ids}


async def must_hold(dsn: str) -> None:
    """Fails with what is broken; also when PostgreSQL has seen a deadlock."""
    async with connected(dsn) as connection:
        assert await violations(connection) == {}
        assert await deadlocks(connection) == 0


async def deadlocks(connection: asyncpg.Connection[asyncpg.Record]) -> int:
    """How many deadlocks PostgreSQL has ended in this database."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    count = await connection.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert isinstance(count, int)
    return count
