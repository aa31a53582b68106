"""Example values for the documentation: one story, told by the names of the fields.

`example_of` builds the example of any schema from these values, so a new schema of known fields needs no line here. A
new field gets one in `FIELDS`, or in `SCHEMAS` where its schema means something of its own by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def _id(number: int) -> str:
    return f"0199a3c0-0000-7000-8000-{number:012d}"


CLEO, ADA, PROJECT, SLOT, SKU, BID, COMMENT, COMMITMENT, EVENT = (_id(number) for number in range(1, 10))
_MONDAY, _TUESDAY, _LATER = "2026-11-23T09:00:00Z", "2026-11-24T15:30:00Z", "2027-02-22T09:00:00Z"

FIELDS: dict[str, Any] = {
    # people
    "userId": ADA,
    "creatorId": CLEO,
    "merchantId": ADA,
    "counterpartyId": ADA,
    "authorId": ADA,
    "authorName": "Ada Ads",
    "actorId": ADA,
    "actorRole": "Advertiser",
    "email": "ada@example.com",
    "username": "ada@example.com",
    "password": "a password of some length",
    "currentPassword": "a password of some length",
    "newPassword": "another password of some length",
    "name": "Ada Ads",
    "role": "Advertiser",
    "isActive": True,
    "minIntegrationFee": 500.0,
    "eligibilityRules": ["No alcohol in the same scene"],
    "userIds": [ADA],
    "mailNotifications": True,
    # signing in
    "token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.signature",
    "token_type": "bearer",
    "grant_type": "password",
    "scope": "",
    "client_id": None,
    "client_secret": None,
    "refreshToken": "WqI1m9vGZ0y8oTtTn3mE5w4c1bK2hR7sUe6pXaLdJfQ",
    "expiresIn": 86400,
    "expires_in": 86400,
    # projects
    "projectId": PROJECT,
    "project_id": PROJECT,
    "title": "Night Train",
    "genre": "Drama",
    "logline": "Two strangers share a compartment and a thermos.",
    "docLink": f"https://backdrop.example/api/v1/projects/{PROJECT}/script?user={CLEO}&expires=1795424400&signature=5f3c",
    "budgetTarget": 100000.0,
    "committedAmount": 1800.0,
    "productionWindow": "Q3 2027",
    "scriptStatus": "ready",
    "scriptStatusReason": None,
    # scenes
    "number": "12",
    "heading": "INT. NIGHT TRAIN - DINING CAR - CONTINUOUS",
    "setting": "INT",
    "location": "NIGHT TRAIN - DINING CAR",
    "timeOfDay": "CONTINUOUS",
    "page": 14,
    "eighths": 5,
    "estimatedSeconds": 38,
    "characters": ["MARA", "STEWARD"],
    "iabId": "1133",
    "start": 83,
    "end": 90,
    "where": "action",
    "mentions": 1,
    "inDialogue": False,
    "touchedBy": ["STEWARD"],
    "pageShare": 0.125,
    "low": 180.0,
    "high": 360.0,
    "formula": "max(budgetTarget × 0.001, 100) × 1.8 (Hands-on) × 1 (1 mention); the upper end is double",
    "fileName": "night-train.fountain",
    "mediaType": "text/plain; charset=utf-8",
    "size": 48211,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "sceneCount": 41,
    "change": "changed",
    "similarity": 0.82,
    "excerpt": "A steward wipes a table that is already clean. On it: a dented steel THERMOS and one cup.",
    "ageStart": 18,
    "ageEnd": 45,
    "gender": "any",
    "file": "(the file)",
    "csv": "(the file)",
    # slots
    "slotId": SLOT,
    "slot_id": SLOT,
    "sceneRef": "Scene 12, the dining car",
    "description": "A hand pours coffee from a flask.",
    "type": "Featured",
    "pricingFloor": 1000.0,
    "modality": "Private Auction",
    "visibility": "Public",
    "constraints": ["No logo in close-up"],
    "excludedCategories": ["Alcohol"],
    "biddingClosesAt": _LATER,
    # SKUs
    "skuId": SKU,
    "sku_id": SKU,
    "skuIds": [SKU],
    "price": 39.9,
    "margin": 40.0,
    "tags": ["kitchen", "travel"],
    "imageUrl": "https://images.example/thermos.jpg",
    "externalId": "TH-750",
    "count": 3,
    "created": 2,
    "updated": 1,
    # deals
    "bidId": BID,
    "bid_id": BID,
    "amount": 1800.0,
    "amountTerms": "USD 1,800.00",
    "objective": "Awareness among people who travel by train",
    "message": "We would love the dining car.",
    "termsVersion": 2,
    "baseVersion": 1,
    "version": 2,
    "side": "buyer",
    "note": "Thank you for the talk.",
    "reason": "timing",
    "declineReason": None,
    "holdsSlot": True,
    "holdExpiresAt": _LATER,
    "expiresAt": _LATER,
    "creator": True,
    "buyer": False,
    "text": "Could the label face the window?",
    "timestamp": _TUESDAY,
    "commentCount": 1,
    "allowedActions": ["approve", "terms", "withdraw"],
    # commitments
    "commitmentId": COMMITMENT,
    "commitment_id": COMMITMENT,
    "deliverBy": _LATER,
    "deliveredAt": None,
    "evidenceUrl": "https://video.example/night-train-scene-12",
    "confirmBy": None,
    "completedAt": None,
    "cancelRequestedBy": None,
    "totalCommitted": 1800.0,
    "totalCompleted": 0.0,
    "pipeline": 2500.0,
    "commitmentCount": 1,
    "committed": 1800.0,
    "completed": 0.0,
    "fundedRatio": 0.018,
    "month": "2026-11",
    # the record and the floor
    "at": _TUESDAY,
    "action": "bid.approved",
    "subjectType": "bid",
    "subjectId": BID,
    "data": {"version": 2, "side": "buyer"},
    "requestId": "0199a3c0-7d1e-7000-8000-1d2c3b4a5f60",
    "since": _MONDAY,
    "until": _LATER,
    "usersByRole": {"Creator": 2, "Advertiser": 1, "Merchant": 1, "Operator": 1},
    "slotsByStatus": {"Available": 5, "Locked": 2, "Completed": 1},
    "bidsByStatus": {"Pending": 3, "AwaitingFinalApproval": 1, "Accepted": 1, "Committed": 1, "Declined": 2},
    "commitmentsByStatus": {"Active": {"count": 1, "amount": 1800.0}},
    "statement": "At most one bid holds a slot.",
    "violations": 0,
    "limit": 50,
    "q": "train",
    "createdAt": _MONDAY,
    "updatedAt": _TUESDAY,
    # the service
    "db": "connected",
    "currency": "USD",
    "enums": {"bidStatus": ["Pending", "AwaitingFinalApproval", "Accepted", "Committed", "Declined"]},
    "machines": {
        "slot": {
            "states": ["Available", "Locked", "Completed"],
            "transitions": [
                {"action": "hold", "actors": ["creator", "buyer"], "from": ["Available"], "to": "Locked"},
            ],
        }
    },
    "from": ["Available"],
    "to": "Locked",
    "actors": ["creator", "buyer"],
    "states": ["Available", "Locked", "Completed"],
}

# What a schema means by a field where it is not what most mean.
SCHEMAS: dict[str, dict[str, Any]] = {
    "UserOut": {"id": ADA, "merchantProfile": None},
    "BuyerOut": {"id": ADA},
    "CounterpartyOut": {"id": ADA},
    "ProjectOut": {"id": PROJECT},
    "SlotProject": {"id": PROJECT},
    "BidSlotProject": {"id": PROJECT},
    "SlotOut": {"id": SLOT, "status": "Available"},
    "BidSlot": {"id": SLOT, "status": "Available"},
    "SkuIn": {"title": "Thermos, 750 ml", "description": "Keeps coffee hot for twelve hours."},
    "SkuPatch": {"title": "Thermos, 750 ml", "description": "Keeps coffee hot for twelve hours."},
    "SkuOut": {"id": SKU, "title": "Thermos, 750 ml", "description": "Keeps coffee hot for twelve hours."},
    "BidSku": {"id": SKU, "title": "Thermos, 750 ml"},
    "BidIn": {"amount": 1500.0, "amountTerms": "USD 1,500.00"},
    "BidOut": {"id": BID, "status": "Pending"},
    "BidListed": {"id": BID, "status": "Pending"},
    "DeclineIn": {"note": "The shooting dates have moved."},
    "CommentOut": {"id": COMMENT},
    "CommitmentOut": {
        "id": COMMITMENT,
        "bidStatus": "Committed",
        "status": "Active",
        "allowedActions": ["cancel"],
        "evidenceUrl": None,
    },
    "ReasonIn": {"reason": "The scene was cut."},
    "OnBehalfOf": {"reason": "The buyer asked us by telephone."},
    "EventOut": {"id": EVENT},
    "InvariantOut": {"id": "I1"},
    "ManagedUserOut": {"id": ADA, "deletedAt": None},
    "MetaOut": {"name": "BackDrop", "version": "0.1.0"},
    "HealthOut": {"status": "ok"},
    "LiveOut": {"status": "ok"},
}

# Fields that an example of a body leaves out: they name things that a reader has not, or serve operators alone.
_LEFT_OUT = {"onBehalfOf", "skuIds", "metadata", "client_id", "client_secret"}


def example_of(schema: Schema, schemas: Mapping[str, Schema], field: str = "", owner: str = "") -> Any:
    """An example of a JSON schema; `schemas` are the components that it may refer to."""
    if field in SCHEMAS.get(owner, {}):
        return SCHEMAS[owner][field]
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return example_of(schemas[name], schemas, field, name)
    if "properties" in schema:
        is_body = owner.endswith(("In", "Patch", "Form")) or owner.startswith("Body_")
        return {
            name: example_of(each, schemas, name, owner)
            for name, each in schema["properties"].items()
            if not (is_body and name in _LEFT_OUT)
        }
    if field in FIELDS and _fits(FIELDS[field], schema):
        return FIELDS[field]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas, field, owner)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas, "", owner)]
    return _plain(schema, field)


def _fits(value: Any, schema: Schema) -> bool:
    """Whether a field's usual value is one of this schema's closed set."""
    kinds = [schema, *schema.get("anyOf", ())]
    closed = [kind["enum"] for kind in kinds if "enum" in kind]
    return not closed or any(value in each for each in closed)


def _plain(schema: Schema, field: str) -> Any:
    """A value of the right type for a field that nothing else is known of."""
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", ())), None))
    by_format = {"uuid": _id(99), "date-time": _MONDAY, "uri": "https://example.com/", "email": "ada@example.com"}
    by_type = {"string": field, "integer": 1, "number": 1.0, "boolean": True, "object": {}, "null": None}
    return by_format.get(schema.get("format", ""), by_type.get(schema.get("type", "null")))
