"""The floor: bare ASGI and asyncpg, SQL by hand, no framework, no validation beyond what the SQL needs.

It does the product's work: a verified token, a user and session that still count, the same visibility rules, the same
rows written under the same locks, the same bytes. What it leaves out is everything else a service needs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import asyncpg
import jwt
import msgspec
from uuid_utils.compat import uuid7

from backend.policies.matches import RULES
from backend.services.matches.pairs import slots_for_sku
from backend.services.matches.words import asked

SECRET = os.environ["JWT_SECRET"]
# Words and rules have no quicker form: this program sends the product's own statement and says its sentences.
MATCH, _ = slots_for_sku(failing=False, after=False)
SAYS = """SELECT word, points FROM skus LEFT JOIN word_points(sku_document(title, tags, description)) ON true
    WHERE id = $1 AND merchant_id = $2 AND removed_at IS NULL"""
encode = msgspec.json.Encoder(decimal_format="number").encode
Row = asyncpg.Record

WHO = """SELECT users.role FROM users JOIN sessions ON sessions.user_id = users.id
    WHERE users.id = $1 AND sessions.id = $2 AND sessions.ended_at IS NULL AND users.is_active"""
SLOT_STATUS = """CASE WHEN slots.hold_expires_at <= $2 THEN 'Available'
    WHEN slots.completes_at <= $2 THEN 'Completed' ELSE slots.status END"""
SEEN = """slots.removed_at IS NULL AND (SELECT is_active FROM users WHERE id = slots.creator_id)
    AND (slots.visibility = 'Public'
        OR EXISTS (SELECT FROM slot_invitees WHERE slot_id = slots.id AND user_id = $1)
        OR EXISTS (SELECT FROM bids WHERE slot_id = slots.id AND buyer_id = $1))"""
SLOTS = f"""SELECT slots.id, slots.project_id, slots.creator_id, scene_ref, description, type, pricing_floor, modality,
    visibility, constraints, excluded_categories, bidding_closes_at, {SLOT_STATUS} AS status, projects.title,
    projects.genre, production_window, age_start, age_end, gender, slots.created_at, slots.updated_at,
    scene_id, scene_status
    FROM slots JOIN projects ON projects.id = slots.project_id WHERE"""
ASKED = """lower(slots.genre) = lower($3) AND slots.pricing_floor >= $4 AND slots.removed_at IS NULL
    AND (SELECT is_active FROM users WHERE id = slots.creator_id)"""
NEWEST = "ORDER BY slots.created_at DESC, slots.id DESC LIMIT $5"
LIST = f"""SELECT * FROM ((({SLOTS} {ASKED} AND visibility = 'Public' {NEWEST}) UNION ALL
    ({SLOTS} {ASKED} AND visibility <> 'Public' AND slots.id IN (
        SELECT slot_id FROM slot_invitees WHERE user_id = $1 UNION SELECT slot_id FROM bids WHERE buyer_id = $1
    ) {NEWEST}))) AS slots ORDER BY created_at DESC, id DESC LIMIT $5"""
ONE = f"{SLOTS} {SEEN} AND slots.id = $3"
BID = """SELECT bids.id, bids.slot_id, bids.creator_id, bids.buyer_id, users.name, users.role, bids.status, bids.modality,
    terms.amount, terms.amount_terms, terms.objective, bids.terms_version, creator_approved_version,
    buyer_approved_version, slots.holder_bid_id, slots.hold_expires_at, bids.expires_at, decline_reason,
    slots.scene_ref, slots.type, slots.modality, CASE WHEN slots.hold_expires_at <= $2 THEN 'Available'
        WHEN slots.completes_at <= $2 THEN 'Completed' ELSE slots.status END AS slot_status, slots.pricing_floor,
    slots.project_id, projects.title, projects.genre, bids.created_at, bids.updated_at,
    (bids.status IN ('Pending', 'AwaitingFinalApproval', 'Accepted') AND (bids.expires_at <= $2
        OR (slots.holder_bid_id = bids.id AND slots.hold_expires_at <= $2))) AS overdue,
    ARRAY(SELECT ROW(skus.id, skus.title, price, image_url) FROM skus JOIN terms_skus ON sku_id = skus.id
        WHERE terms_skus.bid_id = bids.id AND version = bids.terms_version ORDER BY position) AS skus,
    ARRAY(SELECT ROW(comments.id, author_id, authors.name, text, comments.created_at) FROM comments
        JOIN users AS authors ON authors.id = author_id WHERE comments.bid_id = bids.id
        ORDER BY comments.created_at, comments.id) AS comments, bids.scene_id, bids.scene_status
    FROM bids JOIN slots ON slots.id = bids.slot_id JOIN projects ON projects.id = slots.project_id
    JOIN terms ON terms.bid_id = bids.id AND version = bids.terms_version JOIN users ON users.id = bids.buyer_id
    WHERE bids.id = $1 AND (bids.buyer_id = $3 OR bids.creator_id = $3)"""
OFFER = f"""SELECT creator_id, modality, pricing_floor, {SLOT_STATUS} AS status,
    holder_bid_id IS NOT NULL AND hold_expires_at IS NULL AS sold, coalesce(bidding_closes_at <= $2, false) AS closed,
    EXISTS (SELECT FROM bids WHERE slot_id = slots.id AND buyer_id = $1 AND status <> 'Declined') AS has_bid
    FROM slots WHERE {SEEN} AND slots.id = $3"""
ADD_BID = """INSERT INTO bids (id, slot_id, creator_id, buyer_id, modality, expires_at, status, terms_version, created_at,
    updated_at) VALUES ($1, $2, $3, $4, $5, $6, 'Pending', 1, $7, $7)"""
ADD_TERMS = """INSERT INTO terms (bid_id, version, side, author_id, floor, amount, amount_terms, objective, created_at)
    VALUES ($1, 1, 'buyer', $2, $3, $4, $5, $6, $7)"""
ADD_EVENT = """INSERT INTO events (id, at, actor_id, actor_role, action, subject_type, subject_id, bid_id, status, data,
    request_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '{}', NULL)"""
DEAL = """SELECT bids.status, bids.terms_version, bids.creator_approved_version, bids.expires_at, slots.holder_bid_id
    FROM bids JOIN slots ON slots.id = bids.slot_id WHERE bids.id = $1 FOR UPDATE OF bids"""
APPROVE = """UPDATE bids SET status = 'AwaitingFinalApproval', creator_approved_version = $2, updated_at = $3
    WHERE id = $1"""
HOLD = "UPDATE slots SET status = 'Locked', holder_bid_id = $2, hold_expires_at = $3 WHERE id = $1"


class Answer(Exception):
    """A status without a body."""

    def __init__(self, status: int) -> None:
        self.status = status


def slot_of(row: Row) -> dict[str, Any]:
    """A slot as the product shows it."""
    return {
        "id": row[0],
        "projectId": row[1],
        "creatorId": row[2],
        "sceneRef": row[3],
        "sceneId": row[21],
        "sceneStatus": row[22],
        "description": row[4],
        "type": row[5],
        "pricingFloor": row[6],
        "modality": row[7],
        "status": row[12],
        "visibility": row[8],
        "constraints": row[9],
        "excludedCategories": row[10],
        "biddingClosesAt": row[11],
        "project": {
            "id": row[1],
            "title": row[13],
            "genre": row[14],
            "productionWindow": row[15],
            "demographics": {"ageStart": row[16], "ageEnd": row[17], "gender": row[18]},
        },
        "createdAt": row[19],
        "updatedAt": row[20],
    }


def match_of(row: Row) -> dict[str, Any]:
    """A match as the product shows it to the merchant."""
    facts = {name[1:]: value for name, value in row.items() if name[0] == "_"}
    names = ("id", "projectId", "creatorId", "sceneRef", "sceneId", "sceneStatus", "description", "type")
    names += (
        "pricingFloor",
        "modality",
        "status",
        "visibility",
        "constraints",
        "excludedCategories",
        "biddingClosesAt",
    )
    demographics = {name: row[f"project.demographics.{name}"] for name in ("ageStart", "ageEnd", "gender")}
    project = {name: row[f"project.{name}"] for name in ("id", "title", "genre", "productionWindow")}
    return {
        "score": row["_score"],
        "matched": row["_matched"],
        "categories": row["_categories"],
        "rules": [
            {"rule": rule.name, "passed": passed, "detail": rule.say(facts, passed, True)}
            for rule in RULES
            for passed in (facts[f"passed_{rule.name}"],)
        ],
        "slot": {
            **{name: row[name] for name in names},
            "project": {**project, "demographics": demographics},
            "createdAt": row["createdAt"],
            "updatedAt": row["updatedAt"],
        },
    }


def allowed_actions(row: Row, buyer: bool, holds: bool) -> list[str]:
    """What the reader may do next."""
    status = "Declined" if row[28] else row[6]
    if status in ("Committed", "Declined"):
        return []
    ending = "withdraw" if buyer else "decline"
    if status == "Accepted":
        return [ending, "commit"] if buyer else [ending]
    approved = row[13] is not None if buyer else row[12] is not None
    blocked = not buyer and row[14] is not None and not holds
    return ["terms", ending] if approved or blocked else ["terms", "approve", ending]


def bid_of(row: Row, actor: UUID) -> dict[str, Any]:
    """A bid as the product shows it to one of its parties."""
    holds = row[14] == row[0] and row[21] == "Locked"
    return {
        "id": row[0],
        "slotId": row[1],
        "counterpartyId": row[3],
        "counterparty": {"id": row[3], "name": row[4], "role": row[5]},
        "status": "Declined" if row[28] else row[6],
        "amount": row[8],
        "amountTerms": row[9],
        "objective": row[10],
        "skuIds": [sku[0] for sku in row[29]],
        "skus": [{"id": sku[0], "title": sku[1], "price": sku[2], "imageUrl": sku[3]} for sku in row[29]],
        "termsVersion": row[11],
        "approvals": {"creator": row[12] is not None, "buyer": row[13] is not None},
        "holdsSlot": holds,
        "holdExpiresAt": row[15] if holds else None,
        "expiresAt": row[16],
        "declineReason": "expired" if row[28] else row[17],
        "allowedActions": allowed_actions(row, actor == row[3], row[14] == row[0]),
        "sceneId": row[31],
        "sceneStatus": row[32],
        "slot": {
            "id": row[1],
            "sceneRef": row[18],
            "type": row[19],
            "modality": row[20],
            "status": row[21],
            "pricingFloor": row[22],
            "project": {"id": row[23], "title": row[24], "genre": row[25]},
        },
        "createdAt": row[26],
        "updatedAt": row[27],
        "comments": [
            {"id": each[0], "authorId": each[1], "authorName": each[2], "text": each[3], "timestamp": each[4]}
            for each in row[30]
        ],
    }


class Floor:
    """The whole program."""

    def __init__(self) -> None:
        self.pool: Any = None

    @asynccontextmanager
    async def signed_in(self, scope: dict[str, Any], lock: str = "") -> Any:
        """A connection and who calls on it."""
        token = next((value for name, value in scope["headers"] if name == b"authorization"), b"")[7:]
        try:
            payload = jwt.decode(
                token,
                SECRET,
                algorithms=["HS256"],
                audience="backdrop-api",
                issuer="backdrop",
                options={"require": ["exp"]},
            )
        except jwt.PyJWTError:
            raise Answer(401) from None
        actor = UUID(payload["sub"])
        async with self.pool.acquire() as connection:
            if lock:
                async with connection.transaction():
                    yield connection, actor, await self._role(connection, actor, payload, lock)
            else:
                yield connection, actor, await self._role(connection, actor, payload, lock)

    async def _role(self, connection: Any, actor: UUID, payload: dict[str, Any], lock: str) -> str:
        role = await connection.fetchval(WHO + lock, actor, UUID(payload["sid"]))
        if role is None:
            raise Answer(401)
        return str(role)

    async def slots(self, scope: dict[str, Any], _: bytes) -> tuple[int, bytes, bytes]:
        """GET /slots?genre&minPrice&limit."""
        query = dict(parse_qsl(scope["query_string"].decode()))
        limit = int(query["limit"])
        async with self.signed_in(scope) as (connection, actor, _role):
            rows = await connection.fetch(
                LIST, actor, datetime.now(UTC), query["genre"], Decimal(query["minPrice"]), limit + 1
            )
        return 200, encode([slot_of(row) for row in rows[:limit]]), b""

    async def matches(self, scope: dict[str, Any], _: bytes) -> tuple[int, bytes, bytes]:
        """GET /skus/{id}/matches?limit."""
        sku_id, limit = UUID(scope["path"][13:-8]), int(dict(parse_qsl(scope["query_string"].decode()))["limit"])
        async with self.signed_in(scope) as (connection, actor, _role):
            said = await connection.fetch(SAYS, sku_id, actor)
            if not said:
                raise Answer(404)
            binds = asked({row["word"]: row["points"] for row in said})
            binds |= {"p_actor": actor, "p_now": datetime.now(UTC), "p_sku": sku_id, "p_limit": limit + 1}
            rows = await connection.fetch(MATCH.sql, *MATCH.arguments(binds))
        return 200, encode([match_of(row) for row in rows[:limit]]), b""

    async def slot(self, scope: dict[str, Any], _: bytes) -> tuple[int, bytes, bytes]:
        """GET /slots/{id}."""
        async with self.signed_in(scope) as (connection, actor, _role):
            row = await connection.fetchrow(ONE, actor, datetime.now(UTC), UUID(scope["path"][14:]))
        if row is None:
            raise Answer(404)
        body = encode(slot_of(row))
        return 200, body, hashlib.blake2b(body, digest_size=12).hexdigest().encode()

    async def bid(self, scope: dict[str, Any], _: bytes) -> tuple[int, bytes, bytes]:
        """GET /bids/{id}."""
        async with self.signed_in(scope) as (connection, actor, _role):
            return 200, await self.shown(connection, actor, UUID(scope["path"][13:])), b""

    async def shown(self, connection: Any, actor: UUID, bid_id: UUID) -> bytes:
        """One bid."""
        row = await connection.fetchrow(BID, bid_id, datetime.now(UTC), actor)
        if row is None:
            raise Answer(404)
        return encode(bid_of(row, actor))

    async def place(self, scope: dict[str, Any], body: bytes) -> tuple[int, bytes, bytes]:
        """POST /slots/{id}/bids, for auctions."""
        offer = msgspec.json.decode(body)
        amount, slot_id = Decimal(str(offer["amount"])), UUID(scope["path"][14:-5])
        async with self.signed_in(scope, " FOR KEY SHARE") as (connection, actor, role):
            await connection.fetchval("SELECT id FROM slots WHERE id = $1 FOR UPDATE", slot_id)
            now = datetime.now(UTC)
            row = await connection.fetchrow(OFFER, actor, now, slot_id)
            if row is None:
                raise Answer(404)
            if row["status"] == "Completed" or row["sold"] or row["closed"] or row["has_bid"] or amount < row[2]:
                raise Answer(409)
            bid_id = uuid7()
            await connection.execute(ADD_BID, bid_id, slot_id, row[0], actor, row[1], now + timedelta(days=14), now)
            text = f"USD {amount:,.2f}"
            await connection.execute(ADD_TERMS, bid_id, actor, row[2], amount, text, offer["objective"], now)
            await connection.execute(
                ADD_EVENT, uuid7(), now, actor, role, "bid.placed", "bid", bid_id, bid_id, "Pending"
            )
            answer = await self.shown(connection, actor, bid_id)
        return 201, answer, b""

    async def approve(self, scope: dict[str, Any], _: bytes) -> tuple[int, bytes, bytes]:
        """POST /bids/{id}/approve, by the creator of an auction."""
        bid_id = UUID(scope["path"][13:-8])
        async with self.signed_in(scope, " FOR KEY SHARE") as (connection, actor, role):
            slot_id = await connection.fetchval(
                """SELECT id FROM slots WHERE id = (SELECT slot_id FROM bids WHERE id = $1 AND creator_id = $2)
                FOR UPDATE""",
                bid_id,
                actor,
            )
            if slot_id is None:
                raise Answer(404)
            now = datetime.now(UTC)
            row = await connection.fetchrow(DEAL, bid_id)
            if row["status"] != "Pending" or row["holder_bid_id"] is not None or row["expires_at"] <= now:
                raise Answer(409)
            version = row["terms_version"]
            await connection.execute(
                "INSERT INTO approvals (bid_id, terms_version, side, user_id, created_at) VALUES ($1, $2, 'creator', $3, $4)",
                bid_id,
                version,
                actor,
                now,
            )
            await connection.execute(HOLD, slot_id, bid_id, min(now + timedelta(days=3), row["expires_at"]))
            await connection.execute(APPROVE, bid_id, version, now)
            lines = [
                (uuid7(), now, actor, role, "bid.approved", "bid", bid_id, bid_id, "AwaitingFinalApproval"),
                (uuid7(), now, actor, role, "slot.held", "slot", slot_id, bid_id, "Locked"),
            ]
            await connection.executemany(ADD_EVENT, lines)
            answer = await self.shown(connection, actor, bid_id)
        return 200, answer, b""

    def find(self, method: str, path: str) -> Callable[[dict[str, Any], bytes], Awaitable[tuple[int, bytes, bytes]]]:
        """The six calls."""
        if method == "POST":
            return self.place if path.endswith("/bids") else self.approve
        if path == "/api/v1/slots":
            return self.slots
        if path.startswith("/api/v1/skus/"):
            return self.matches
        return self.slot if path.startswith("/api/v1/slots/") else self.bid

    async def lifespan(self, receive: Any, send: Any) -> None:
        """Open the pool, and close it at the end."""
        await receive()
        size = int(os.environ.get("DB_POOL_SIZE", "10"))
        self.pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=size, max_size=size)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self.lifespan(receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            status, answer, etag = await self.find(scope["method"], scope["path"])(scope, body)
        except Answer as refusal:
            status, answer, etag = refusal.status, b"", b""
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        if etag:
            headers.append((b"etag", b'"' + etag + b'"'))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


app = Floor()
