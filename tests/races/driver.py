"""R1: many clients change the same deals at once, through two processes, in an order that a seed decides.

The clients know what every one of them has been told (bids, versions, commitments), so that most calls are sensible and
collide. Whatever happens, the invariants must hold and every loser must be told why.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from backend.models.users import Role
from tests.faults import invariants
from tests.faults.arena import Arena, Member, connected, made
from tests.faults.wire import Answer, Wire

# Short lives, so that holds and bids run out in the middle of the fight; what is Accepted has time to be committed.
# Who waits long for a connection is served late and not told to try again: this is about order, not about speed.
SHORT_LIVES = {
    "DB_WAIT_SECONDS": "30",
    "HOLD_EXPIRES_IN": "2",
    "BID_EXPIRES_IN": "6",
    "HOLD_COOLDOWN": "1",
    "MAX_HOLDS": "6",
}
CLIENTS, SLOTS, CREATORS, BUYERS, OPERATORS = 64, 50, 4, 16, 2
SMALL_PROJECTS = 3  # of each creator, with one slot, so that some can be deleted
MAY_BE_GONE = {"place", "edit slot", "delete slot", "delete project"}  # what somebody may have deleted meanwhile
BID_STATES = {"Pending", "AwaitingFinalApproval", "Accepted", "Committed", "Declined"}


@dataclass(slots=True)
class Known:
    """What the clients have been told."""

    bids: dict[str, dict[str, Any]] = field(default_factory=dict)
    commitments: dict[str, dict[str, Any]] = field(default_factory=dict)
    commitments_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def note(self, action: str, answer: Answer) -> Any:
        """Count the answer and judge it; the JSON of a success."""
        self.answers[f"{action} {answer.status} {answer.code or ''}".strip()] += 1
        if 200 <= answer.status < 300:
            return answer.json() if answer.body else None
        if not _says_why(action, answer):
            self.wrong.append(f"{action}: {answer.status} {answer.body!r}")
        return None


def _says_why(action: str, answer: Answer) -> bool:
    """A loser hears 409 with a code and a sentence, on a deal also where it stands; 404 for what is gone meanwhile."""
    if answer.status == 404:
        return action in MAY_BE_GONE
    if answer.status != 409:
        return False
    problem = answer.json()
    stands = action in MAY_BE_GONE or {"currentStatus", "allowedActions"} <= problem.keys()
    return bool(problem["code"] and problem["detail"]) and stands


def on_behalf_of(side: str) -> dict[str, Any]:
    """What an operator's body says."""
    return {"onBehalfOf": {"side": side, "reason": "Asked by telephone."}}


async def build(arena: Arena, creators: int = CREATORS, buyers: int = BUYERS, slots: int = SLOTS) -> None:
    """Projects with slots, half of them auctions and half reservations."""
    arena.creators = await arena.add_members(Role.CREATOR, creators)
    arena.buyers = await arena.add_members(Role.ADVERTISER, buyers)
    arena.operators = await arena.add_members(Role.OPERATOR, OPERATORS)
    for index, creator in enumerate(arena.creators):
        for _ in range(SMALL_PROJECTS):
            await arena.add_slots(creator, await arena.add_project(creator), 1)
        project = await arena.add_project(creator)
        for modality in ("Private Auction", "PG/Reservation"):
            count = len(range(index, (slots - creators * SMALL_PROJECTS) // 2, creators))
            await arena.add_slots(creator, project, count, modality=modality)


class Client:
    """One of the clients: a member, a connection, and the dice."""

    def __init__(self, arena: Arena, known: Known, member: Member, wire: Wire, dice: random.Random) -> None:
        self.arena, self.known, self.member, self.wire, self.dice = arena, known, member, wire, dice

    async def act(self) -> None:
        """One call of those that this member may make."""
        if self.member.role is Role.OPERATOR:
            await asyncio.sleep(0.1)  # now and then, or nobody else would get anywhere
            await self.dice.choices((self.step_in, self.step_in_later), (1, 2))[0]()
            return
        buying = self.member.role is not Role.CREATOR
        moves: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (10, self.approve),
            (4, self.new_terms),
            (2, self.end),
            *([(8, self.place), (8, self.commit)] if buying else [(1, self.edit_slot), (1, self.remove)]),
            (4, self.fulfil),
            (2, self.read),
        ]
        weights, choices = zip(*moves, strict=True)
        await self.dice.choices(choices, weights)[0]()

    def _own_bid(self) -> dict[str, Any] | None:
        """A bid of this member's that the clients know of, with a liking for the young and the few."""
        side = "buyer" if self.member.role is not Role.CREATOR else "creator"
        own = [bid for bid in self.known.bids.values() if bid[side] == self.member.id]
        return self.dice.choice(own[-12:]) if own else None

    async def _change(self, action: str, path: str, body: Any = None) -> Any:
        return self.known.note(action, await self.wire.call("POST", path, body))

    def _learn(self, bid: Any, creator: str | None = None) -> None:
        if bid is not None:
            before = self.known.bids.get(bid["id"], {"creator": creator, "buyer": bid["counterpartyId"]})
            self.known.bids[bid["id"]] = {**before, "id": bid["id"], "version": bid["termsVersion"]}

    async def place(self) -> None:
        slot = self.dice.choice(self.arena.slots)
        creator = self.arena.owner_of(slot)
        body = {"amount": self.dice.randrange(100, 1000), "objective": "Awareness"}
        self._learn(await self._change("place", f"/slots/{slot}/bids", body), creator)

    async def new_terms(self) -> None:
        if (bid := self._own_bid()) is not None:
            body = {"baseVersion": bid["version"], "amount": self.dice.randrange(100, 1000)}
            self._learn(await self._change("terms", f"/bids/{bid['id']}/terms", body))

    async def approve(self) -> None:
        if (bid := self._own_bid()) is not None:
            body = {"termsVersion": bid["version"]} if self.dice.random() < 0.7 else None
            self._learn(await self._change("approve", f"/bids/{bid['id']}/approve", body))

    async def end(self) -> None:
        if (bid := self._own_bid()) is not None:
            if self.member.role is Role.CREATOR:
                await self._change("decline", f"/bids/{bid['id']}/decline", {"reason": "price"})
            else:
                await self._change("withdraw", f"/bids/{bid['id']}/withdraw", {"note": "No more."})

    async def commit(self) -> None:
        if (bid := self._own_bid()) is not None:
            commitment = await self._change("commit", f"/bids/{bid['id']}/commit")
            if commitment is not None:
                self.known.commitments_of[bid["id"]].add(commitment["id"])
                self.known.commitments[commitment["id"]] = {"creator": bid["creator"], "buyer": bid["buyer"]}

    async def fulfil(self) -> None:
        side = "buyer" if self.member.role is not Role.CREATOR else "creator"
        own = [each for each, parties in self.known.commitments.items() if parties[side] == self.member.id]
        if not own:
            return
        path = f"/commitments/{self.dice.choice(own)}"
        if self.dice.random() < 0.2:
            await self._change("cancel", f"{path}/cancel", {"reason": "The scene is cut."})
        elif side == "creator":
            await self._change("deliver", f"{path}/deliver", {"evidenceUrl": "https://example.com/cut"})
        elif self.dice.random() < 0.3:
            await self._change("reject", f"{path}/reject", {"reason": "The label cannot be read."})
        else:
            await self._change("confirm", f"{path}/confirm")

    async def step_in(self) -> None:
        """An operator ends a deal on a side's behalf."""
        if not self.known.bids:
            return
        bid = self.dice.choice(list(self.known.bids)[-12:])
        if self.dice.random() < 0.5:
            body = on_behalf_of("creator") | {"reason": "fit"}
            await self._change("operator declines", f"/bids/{bid}/decline", body)
        else:
            await self._change("operator withdraws", f"/bids/{bid}/withdraw", on_behalf_of("buyer"))

    async def step_in_later(self) -> None:
        """An operator delivers, confirms, rejects or cancels."""
        if not self.known.commitments:
            return
        path = f"/commitments/{self.dice.choice(list(self.known.commitments))}"
        action = self.dice.choice(["deliver", "deliver", "confirm", "reject", "cancel"])
        body = on_behalf_of("creator" if action == "deliver" else "buyer")
        body |= {"deliver": {"note": "It is there."}, "confirm": {}}.get(action, {"reason": "It cannot be seen."})
        await self._change(f"operator {action}s", f"{path}/{action}", body)

    async def edit_slot(self) -> None:
        own = [slot for slot in self.arena.slots if self.arena.owner_of(slot) == self.member.id]
        change = self.dice.choice([{"pricingFloor": self.dice.randrange(50, 300)}, {"sceneRef": "Scene 2"}])
        answer = await self.wire.call("PATCH", f"/slots/{self.dice.choice(own)}", change)
        self.known.note("edit slot", answer)

    async def remove(self) -> None:
        """Mostly one slot; now and then a whole project, which is refused while one of its slots is held."""
        own = [slot for slot in self.arena.slots if self.arena.owner_of(slot) == self.member.id]
        if self.dice.random() < 0.3:
            project = self.dice.choice([each for each, owner in self.arena.projects.items() if owner == self.member.id])
            self.known.note("delete project", await self.wire.call("DELETE", f"/projects/{project}"))
        else:
            self.known.note("delete slot", await self.wire.call("DELETE", f"/slots/{self.dice.choice(own)}"))

    async def read(self) -> None:
        if (bid := self._own_bid()) is not None:
            found = self.known.note("read", await self.wire.call("GET", f"/bids/{bid['id']}"))
            if found is not None and found["status"] not in BID_STATES:
                self.known.wrong.append(f"read: {found['status']}")
            self._learn(found)


async def fight(arena: Arena, seed: int, calls: int, clients: int = CLIENTS) -> Known:
    """Let the clients make `calls` calls together."""
    known, left = Known(), iter(range(calls))
    members = [*arena.buyers, *arena.creators, *arena.creators, *arena.operators]

    async def client(number: int) -> None:
        member = members[number % len(members)]
        async with arena.wire(member, number) as wire:
            one = Client(arena, known, member, wire, random.Random(f"{seed} {number}"))
            for _ in left:
                await one.act()
                await asyncio.sleep(0)  # a member with nothing to do makes room

    await asyncio.gather(*(client(number) for number in range(clients)))
    return known


async def settle(arena: Arena, known: Known) -> int:
    """Every deal that both have approved is committed by its buyer now; answers how many were left to do."""
    async with connected(arena.dsn) as connection:
        rows = await connection.fetch("SELECT id::text, buyer_id::text AS buyer FROM bids WHERE status = 'Accepted'")
    tokens = {member.id: member.token for member in arena.buyers}
    async with arena.wire() as wire:
        for row in rows:
            answer = await wire.call("POST", f"/bids/{row['id']}/commit", token=tokens[row["buyer"]])
            known.commitments_of[row["id"]].add(made(answer)["id"])
    return len(rows)


async def judge(arena: Arena, known: Known) -> None:
    """What must be so after the fight."""
    assert known.wrong == [], known.wrong[:5]
    await invariants.must_hold(arena.dsn)
    twice = {bid: ids for bid, ids in known.commitments_of.items() if len(ids) != 1}
    assert twice == {}, "a commit was answered with two commitments"
    async with connected(arena.dsn) as connection:
        assert await connection.fetchval("SELECT count(*) FROM bids WHERE status = 'Accepted'") == 0
        ids = {str(row[0]) for row in await connection.fetch("SELECT id FROM commitments")}
        assert {each for found in known.commitments_of.values() for each in found} == ids
        creators = {each.id: each for each in arena.creators}
        for project, owner in arena.projects.items():
            total = await connection.fetchval(
                "SELECT COALESCE(sum(amount), 0) FROM commitments WHERE project_id = $1 AND status <> 'Cancelled'",
                project,
            )
            async with arena.wire(creators[owner]) as wire:
                answer = await wire.call("GET", f"/projects/{project}")
            if answer.status == 200:  # a project may have been deleted
                assert Decimal(str(answer.json()["committedAmount"])) == total
