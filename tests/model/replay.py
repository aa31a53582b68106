"""Replaying the record: the events alone rebuild the state that the rows have (I8)."""

from __future__ import annotations

import json
from typing import Any

import asyncpg


async def replayed(connection: asyncpg.Connection[asyncpg.Record], bids: list[str], slots: list[str]) -> list[str]:
    """What the events of these bids, their commitments and slots say otherwise than the rows."""
    events = await connection.fetch(
        "SELECT * FROM events WHERE subject_id = ANY($1::uuid[]) OR bid_id = ANY($1::uuid[]) ORDER BY at, id",
        [*bids, *slots],
    )
    differences = []
    for row in await connection.fetch("SELECT * FROM bids WHERE id = ANY($1::uuid[])", bids):
        status, version, reason = None, 1, None
        approved: dict[str, int] = {}
        for event in events:
            if event["subject_id"] != row["id"] or event["status"] is None:
                continue
            data = _data(event)
            status = event["status"]
            if event["action"] == "bid.terms":
                version, approved = data["version"], {}
            if event["action"] == "bid.approved":
                approved[data["side"]] = data["version"]
            reason = data.get("reason", reason)
        said = (status, version, approved.get("creator"), approved.get("buyer"), reason)
        kept = (
            row["status"],
            row["terms_version"],
            row["creator_approved_version"],
            row["buyer_approved_version"],
            row["decline_reason"],
        )
        if said != kept:
            differences.append(f"bid: the events say {said}, the row {kept}")
    for row in await connection.fetch("SELECT * FROM slots WHERE id = ANY($1::uuid[])", slots):
        status, holder = None, None
        for event in events:
            if event["subject_id"] == row["id"] and event["status"] is not None:
                status = event["status"]
                holder = None if status == "Available" else event["bid_id"]
        if (status, holder) != (row["status"], row["holder_bid_id"]):
            differences.append(
                f"slot: the events say {status} {holder}, the row {row['status']} {row['holder_bid_id']}"
            )
    for row in await connection.fetch("SELECT * FROM commitments WHERE bid_id = ANY($1::uuid[])", bids):
        said_last = [event["status"] for event in events if event["subject_id"] == row["id"] and event["status"]]
        if said_last[-1] != row["status"]:
            differences.append(f"commitment: the events say {said_last[-1]}, the row {row['status']}")
    return differences


def _data(event: asyncpg.Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event["data"])
    return found
