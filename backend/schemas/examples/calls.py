"""The example of each call, where the names of its fields do not say it all: who sends it, to what, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.schemas.examples import demo
from backend.schemas.examples.demo import Person


@dataclass(frozen=True, slots=True)
class Call:
    """One call's example: the demo's account that sends it (None: nobody), its path and fields of its body."""

    by: Person | None = None
    path: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


def _slot(slot_id: str) -> dict[str, str]:
    return {"slot_id": slot_id}


def _bid(bid_id: str) -> dict[str, str]:
    return {"bid_id": bid_id}


def _commitment(commitment_id: str) -> dict[str, str]:
    return {"commitment_id": commitment_id}


_CLEO, _ADA, _MO, _OLGA, _GIL = demo.CREATOR, demo.ADVERTISER, demo.MERCHANT, demo.OPERATOR, demo.NEWCOMER
_READ = {"project_id": demo.NIGHT_TRAIN}

CALLS: dict[str, Call] = {
    # identity
    "signUp": Call(body={"email": "nora@demo.example.com", "name": "Nora Vale", "role": "Advertiser"}),
    "refreshSession": Call(body={"refreshToken": demo.REFRESH_TOKEN}),
    "logOut": Call(body={"refreshToken": demo.REFRESH_TOKEN_TO_END}),
    "listSessions": Call(_GIL),
    "listIdentities": Call(_GIL),
    "unlinkIdentity": Call(_GIL, {"identity_id": demo.IDENTITY}),
    "endSession": Call(_GIL, {"session_id": demo.SESSION_TO_END}),
    # The same password again: who has tried it signs in as before.
    "resetPassword": Call(body={"token": demo.RESET_TOKEN, "newPassword": demo.PASSWORD}),
    "verifyEmail": Call(body={"token": demo.VERIFICATION_TOKEN}),
    "resendVerification": Call(_GIL),
    "changePassword": Call(_GIL),
    "getMe": Call(_MO),
    "changeMe": Call(_MO, body={"name": _MO.name, "mailNotifications": False}),
    "deleteMe": Call(_GIL),
    "listBuyers": Call(_CLEO),
    # projects and scripts
    "listProjects": Call(_CLEO),
    "createProject": Call(_CLEO),
    "getProject": Call(_CLEO),
    "changeProject": Call(_CLEO),
    "deleteProject": Call(_CLEO, {"project_id": demo.PAPER_BOATS}),
    "downloadScript": Call(_CLEO),
    "replaceScript": Call(_CLEO),
    "listScenes": Call(_CLEO, _READ),
    "listSlotSuggestions": Call(_CLEO, _READ),
    "takeSuggestions": Call(_CLEO, _READ),
    "listDrafts": Call(_CLEO, _READ),
    "compareDrafts": Call(_CLEO, {**_READ, "number": 2}),
    "listViews": Call(_CLEO, _READ),
    # slots
    "createSlot": Call(_CLEO),
    "listSlots": Call(_ADA),
    "getSlot": Call(_ADA),
    "getSlotExcerpt": Call(_ADA),
    "changeSlot": Call(_CLEO, _slot(demo.SLOT_TO_CHANGE)),
    "deleteSlot": Call(_CLEO, _slot(demo.SLOT_TO_DELETE)),
    "getInvitees": Call(_CLEO, _slot(demo.PRIVATE_SLOT)),
    "setInvitees": Call(_CLEO, _slot(demo.PRIVATE_SLOT)),
    # SKUs
    "createSku": Call(_MO, body={"externalId": "MO-2001"}),
    "listSkus": Call(_MO),
    "getSku": Call(_MO),
    "changeSku": Call(_MO),
    "deleteSku": Call(_MO, {"sku_id": demo.SKU_TO_DELETE}),
    "importSkus": Call(_MO),
    # matches
    "matchSlots": Call(_MO, {"sku_id": demo.SKU_TO_MATCH}),
    "matchSkus": Call(_CLEO, _slot(demo.SLOT_TO_CHANGE)),
    # deals
    "placeBid": Call(_ADA, _slot(demo.SLOT_TO_BID_ON)),
    "listBids": Call(_ADA),
    "getBid": Call(_ADA),
    "listTerms": Call(_ADA),
    "changeTerms": Call(_ADA, body={"baseVersion": 2, "amount": 10500.0, "amountTerms": "USD 10,500.00"}),
    "approveBid": Call(_CLEO, _bid(demo.BID_TO_APPROVE), {"termsVersion": 1}),
    "declineBid": Call(_CLEO, _bid(demo.BID_TO_DECLINE)),
    "withdrawBid": Call(_MO, _bid(demo.BID_TO_WITHDRAW)),
    "commitBid": Call(_MO, _bid(demo.BID_TO_COMMIT), {"amount": 6000.0}),
    "listComments": Call(_ADA),
    "addComment": Call(_ADA),
    "listBidEvents": Call(_ADA),
    "getMemo": Call(_MO, _bid(demo.BID_DONE)),
    "getExcerpt": Call(_ADA),
    # commitments
    "getStats": Call(_CLEO),
    "listCommitments": Call(_CLEO),
    "getCommitment": Call(_MO),
    "deliver": Call(_CLEO, body={"note": "In compartment 6, second take."}),
    "confirmDelivery": Call(_MO, _commitment(demo.COMMITMENT_DELIVERED)),
    "rejectDelivery": Call(
        _ADA, _commitment(demo.COMMITMENT_TO_REJECT), {"reason": "The coat leaves the frame too soon."}
    ),
    "cancelCommitment": Call(demo.RIVAL, _commitment(demo.COMMITMENT_OVERDUE), {"reason": "Nothing came in time."}),
    # operations
    "getOverview": Call(_OLGA),
    "listEvents": Call(_OLGA),
    "checkInvariants": Call(_OLGA),
    "listUsers": Call(_OLGA),
    "setUserActive": Call(_OLGA, {"user_id": demo.RIVAL.id}),
}
