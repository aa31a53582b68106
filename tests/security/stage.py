"""A stage for authorization: one private deal under way, and everyone who may or may not touch it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from backend.core import clock
from backend.core.ids import new_id
from backend.core.tokens import Claims, make_access_token
from tests.architecture.routes import Operation
from tests.factories.people import Person
from tests.factories.world import PASSWORD, World, ok

BASE = "/api/v1"
# Who calls: nobody; a token that has run out; a deactivated account; the owner of project and slot; another creator;
# the buyer of the deal; a rival on the same slot; a buyer who may see none of it; a merchant; an operator.
CALLERS = ("nobody", "expired", "disabled", "owner", "creator", "buyer", "rival", "stranger", "merchant", "operator")


@dataclass
class Stage:
    """The people by what they are to the deal, and the ids of its things."""

    people: dict[str, Person]
    ids: dict[str, str]
    bodies: dict[str, Any]

    def path(self, operation: Operation) -> str:
        """The path of a call with the deal's ids."""
        return operation.path.removeprefix(BASE).format(**self.ids)

    async def call(self, caller: str, operation: Operation, path: str | None = None) -> Any:
        """One call as `caller`, with a body that is in order."""
        sent: dict[str, Any] = {}
        if "multipart/form-data" in operation.body:
            sent = self.bodies.get(operation.id, {"files": {"file": ("a.fountain", b"INT. TRAIN - NIGHT\n")}})
        elif "application/x-www-form-urlencoded" in operation.body:
            sent = {"data": {"username": "nobody@example.com", "password": "wrong"}}
        elif "application/json" in operation.body:
            sent = {"json": self.bodies.get(operation.id, operation.body["application/json"].get("example"))}
        person = self.people[caller]
        where = path or self.path(operation)
        if operation.path.startswith(BASE):
            return await person.call(operation.method.upper(), where, **sent)
        return await person.client.request(operation.method.upper(), operation.path)


async def _linked(world: World, person: Person) -> str:
    """An identity of this person's, put there behind the service's back: no provider is configured."""
    identity_id = str(new_id())
    async with world.database.reading() as db:
        await db.fetch(
            "INSERT INTO identities VALUES ($1, $2, 'google', $3, now())",
            [identity_id, person.id, f"subject {identity_id}"],
        )
    return identity_id


async def staged(world: World, secret: str) -> Stage:
    """The deal: a private slot with two invited rivals; the buyer has committed on a second slot."""
    owner, creator = await world.creator(), await world.creator()
    buyer, rival, stranger = [await world.advertiser() for _ in range(3)]
    merchant, operator, disabled = await world.merchant(), await world.operator(), await world.merchant()
    project = await world.project(owner)
    ok(await owner.put(f"/projects/{project['id']}/script", files={"file": ("b.fountain", b"INT. BOAT - DAY\n")}))
    slot = await world.slot(owner, project, visibility="Private")
    sold = await world.slot(owner, project, visibility="Private")
    for each in (slot, sold):
        ok(await owner.put(f"/slots/{each['id']}/invitees", {"userIds": [buyer.id, rival.id]}))
    sku = await world.sku(merchant)
    bid = await world.bid(buyer, slot)
    await world.bid(rival, slot)
    commitment = await world.committed(owner, buyer, sold)
    assert disabled.user
    ok(await operator.patch(f"/operator/users/{disabled.id}", {"isActive": False}))
    claims = Claims(UUID(buyer.id), UUID(int=0))
    expired = make_access_token(claims, secret, clock.now() - timedelta(days=2), 86400)
    people = {
        "nobody": world.nobody,
        "expired": Person(world.client, expired),
        "disabled": disabled,
        "owner": owner,
        "creator": creator,
        "buyer": buyer,
        "rival": rival,
        "stranger": stranger,
        "merchant": merchant,
        "operator": operator,
    }
    ids = {
        "project_id": project["id"],
        "slot_id": slot["id"],
        "sku_id": sku["id"],
        "bid_id": bid["id"],
        "commitment_id": commitment["id"],
        "user_id": stranger.id,
        "number": "2",
        "sha256": "a" * 64,
        "provider": "google",
        "identity_id": await _linked(world, buyer),
        "session_id": ok(await buyer.get("/auth/sessions"))[0]["id"],
    }
    form = {"title": "Day Train", "budgetTarget": "1000", "productionWindow": "Q1"}
    bodies: dict[str, Any] = {
        "createSlot": {
            "projectId": project["id"],
            "sceneRef": "Scene 9",
            "pricingFloor": 10,
            "modality": "Private Auction",
            "visibility": "Public",
        },
        "placeBid": {"amount": 2000, "objective": "Awareness"},
        "changeTerms": {"baseVersion": 1, "amount": 2500},
        "setInvitees": {"userIds": [buyer.id]},
        "createProject": {"data": form, "files": {"file": ("a.fountain", b"INT. TRAIN - NIGHT\n")}},
        "importSkus": {"files": {"file": ("a.csv", b"title,price,margin\nThermos,10,20\n")}},
        "setUserActive": {"isActive": True},
        "changeMe": {"name": "Another"},
        "changePassword": {"currentPassword": PASSWORD, "newPassword": "another password of some length"},
        "changeSku": {"title": "Another"},
        "changeSlot": {"description": "Another"},
        "changeProject": {"logline": "Another"},
        "approveBid": {},
        "declineBid": {"reason": "other"},
        "withdrawBid": {},
        "commitBid": {},
        "addComment": {"text": "Hello"},
    }
    return Stage(people, ids, bodies)
