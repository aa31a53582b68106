"""A world in few words: people, projects, slots, SKUs, bids and deals in any state, made through HTTP."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx2

from backend.core import clock
from backend.core.database import Database
from backend.core.passwords import hash_password
from backend.jobs import deadlines
from backend.models.events import ActorRole
from backend.models.users import Role
from backend.services import users
from backend.services.users import NewUser
from tests.factories.people import Person

PASSWORD = "a password of some length"
FOUNTAIN = b"Title: Night Train\n\nINT. TRAIN - NIGHT\n\nA cup of coffee steams on the sill.\n"


def ok(response: httpx2.Response) -> Any:
    """The JSON of a success; anything else fails the test with what was answered."""
    assert response.is_success, (
        f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
    )
    return response.json() if response.content else None


class World:
    """Factories for each noun. The clock runs with the system's until `advance` moves it."""

    def __init__(self, client: httpx2.AsyncClient, database: Database) -> None:
        self.client = client
        self.database = database
        self.shift = timedelta()
        self.frozen: datetime | None = None
        self._numbers = itertools.count(1)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(clock.replaced(self.now))
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.close()

    def now(self) -> datetime:
        """What the one clock says."""
        return (self.frozen or datetime.now(UTC)) + self.shift

    def freeze(self, at: datetime | None = None) -> datetime:
        """Stop the one clock, at an instant or at this moment. Answers what it says from now on."""
        at = at or self.now()
        self.frozen, self.shift = at, timedelta()
        return at

    async def expire(self) -> int:
        """What the timer does: write what has run out. Answers how many rows."""
        return await deadlines.expire_due(self.database)

    def advance(self, **by: float) -> None:
        """Move the one clock forward: `advance(days=3)`."""
        self.shift += timedelta(**by)

    @property
    def nobody(self) -> Person:
        """Someone who is not signed in."""
        return Person(self.client)

    async def sign_up(self, role: str, name: str | None = None, **more: Any) -> Person:
        """A new user of a role, signed in."""
        number = next(self._numbers)
        body = {
            "email": f"{role.lower()}{number}@example.com",
            "password": PASSWORD,
            "name": name or f"{role} {number}",
            "role": role,
            **more,
        }
        answer = ok(await self.client.post("/api/v1/auth/signup", json=body))
        return Person(self.client, answer["token"], answer["user"], answer["refreshToken"])

    async def creator(self, **more: Any) -> Person:
        return await self.sign_up("Creator", **more)

    async def advertiser(self, **more: Any) -> Person:
        return await self.sign_up("Advertiser", **more)

    async def merchant(self, **more: Any) -> Person:
        return await self.sign_up("Merchant", **more)

    async def operator(self) -> Person:
        """An operator; made as the command line makes one, since HTTP cannot."""
        email = f"operator{next(self._numbers)}@example.com"
        digest = await hash_password(PASSWORD)
        new = NewUser(email, "Op Erator", Role.OPERATOR)
        await self.database.change(lambda tx: users.create(tx, new, digest, ActorRole.SYSTEM))
        return await self.log_in(email)

    async def log_in(self, email: str, password: str = PASSWORD) -> Person:
        """Another session of a known user."""
        answer = ok(await self.client.post("/api/v1/auth/login", json={"email": email, "password": password}))
        return Person(self.client, answer["token"], answer["user"], answer["refreshToken"])

    async def project(
        self, creator: Person, content: bytes = FOUNTAIN, name: str = "night-train.fountain", **fields: Any
    ) -> dict[str, Any]:
        """A project of this creator; `fields` are form fields."""
        form = {"title": "Night Train", "budgetTarget": "100000", "productionWindow": "Q3 2027", "genre": "Drama"}
        form |= {key: str(value) for key, value in fields.items()}
        response = await creator.post("/projects", data=form, files={"file": (name, content)})
        project: dict[str, Any] = ok(response)
        return project

    async def slot(self, creator: Person, project: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """A slot: Public and Private Auction with a floor of 1000 unless told otherwise."""
        body = {
            "projectId": (project or await self.project(creator))["id"],
            "sceneRef": "Scene 1",
            "pricingFloor": 1000,
            "modality": "Private Auction",
            "visibility": "Public",
            **fields,
        }
        slot: dict[str, Any] = ok(await creator.post("/slots", body))
        return slot

    async def sku(self, merchant: Person, **fields: Any) -> dict[str, Any]:
        body = {"title": "Thermos", "price": 39.9, "margin": 40, **fields}
        sku: dict[str, Any] = ok(await merchant.post("/skus", body))
        return sku

    async def bid(self, buyer: Person, slot: dict[str, Any], **fields: Any) -> dict[str, Any]:
        body = {"amount": 1500, "objective": "Awareness", **fields}
        bid: dict[str, Any] = ok(await buyer.post(f"/slots/{slot['id']}/bids", body))
        return bid

    async def approve(self, person: Person, bid: dict[str, Any]) -> dict[str, Any]:
        approved: dict[str, Any] = ok(await person.post(f"/bids/{bid['id']}/approve"))
        return approved

    async def accepted(self, creator: Person, buyer: Person, slot: dict[str, Any] | None = None) -> dict[str, Any]:
        """A bid that both sides approved."""
        bid = await self.bid(buyer, slot or await self.slot(creator))
        await self.approve(creator, bid)
        return await self.approve(buyer, bid)

    async def committed(self, creator: Person, buyer: Person, slot: dict[str, Any] | None = None) -> dict[str, Any]:
        """The commitment of a deal between the two."""
        bid = await self.accepted(creator, buyer, slot)
        commitment: dict[str, Any] = ok(await buyer.post(f"/bids/{bid['id']}/commit"))
        return commitment
