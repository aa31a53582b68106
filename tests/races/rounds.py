"""R2, R3 and R9 over two processes, a round after the other: what the long forms run, and a few rounds of it in CI."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from backend.models.users import Role
from tests.faults import invariants
from tests.faults.arena import Arena, Member, made
from tests.faults.wire import Answer
from tests.races.stampede import released

# A connection for every rival, patience enough to wait in line, and as many holds as one may win.
IN_LINE = {"DB_POOL_SIZE": "40", "DB_WAIT_SECONDS": "30", "MAX_HOLDS": "10000"}
BID = {"amount": 1500, "objective": "Awareness"}
CATALOGUES, ROWS, INVITATIONS = 10, 200, 10


async def call(arena: Arena, member: Member, server: int, path: str, body: object = None, **headers: str) -> Answer:
    """A POST on a connection of its own."""
    async with arena.wire(member, server, timeout=60) as wire:
        return await wire.call("POST", path, body, **headers)


def must_be(answers: Sequence[Answer], winners: int, status: int, code: str) -> None:
    """So many won; the others heard 409 with this code."""
    won = [answer for answer in answers if answer.status == status]
    lost = {(answer.status, answer.code) for answer in answers if answer.status != status}
    assert len(won) == winners, [answer.body for answer in answers]
    assert lost <= {(409, code)}, lost


class Stampedes:
    """R2: rivals and repeats who all wait at one lock, then run."""

    def __init__(self, arena: Arena, rivals: int) -> None:
        self.arena, self.rivals = arena, rivals

    async def build(self) -> None:
        [self.creator] = await self.arena.add_members(Role.CREATOR, 1)
        self.buyers = await self.arena.add_members(Role.ADVERTISER, self.rivals)
        self.project = await self.arena.add_project(self.creator)

    async def round(self) -> None:
        """Each of the stampedes once."""
        await self.reservation()
        await self.approvals()
        await self.second_bids()

    async def slot(self, modality: str) -> str:
        [slot] = await self.arena.add_slots(self.creator, self.project, 1, modality=modality)
        return f"/slots/{slot}/bids"

    async def reservation(self) -> None:
        """All reserve one slot, each twice under one key: one winner, and its repeat hears the winner's answer."""
        path = await self.slot("PG/Reservation")
        key = {"idempotency-key": path}
        calls = [call(self.arena, buyer, n, path, BID, **key) for buyer in self.buyers for n in (0, 1)]
        answers = await released(self.arena.dsn, calls)
        must_be(answers[::2], 1, 201, "slot_locked")
        for first, again in zip(answers[::2], answers[1::2], strict=True):
            assert first.status == again.status
            assert first.status != 201 or first.body == again.body

    async def approvals(self) -> None:
        """The creator approves every bid on one auction slot, each twice: one bid takes the hold."""
        path = await self.slot("Private Auction")
        placed = await asyncio.gather(*(call(self.arena, each, n, path, BID) for n, each in enumerate(self.buyers)))
        bids = [made(answer)["id"] for answer in placed]
        calls = [call(self.arena, self.creator, n, f"/bids/{bid}/approve") for bid in bids for n in (0, 1)]
        answers = await released(self.arena.dsn, calls)
        must_be(answers, 2, 200, "slot_locked")
        assert len({answer.json()["id"] for answer in answers if answer.status == 200}) == 1, "one, and its repeat"

    async def second_bids(self) -> None:
        """One buyer bids on one slot many times at once, without a key."""
        path = await self.slot("Private Auction")
        calls = [call(self.arena, self.buyers[0], n, path, BID) for n in range(2 * self.rivals)]
        must_be(await released(self.arena.dsn, calls), 1, 201, "already_bid")


class Races:
    """R3: new terms against approve and commit; what is committed is what both approved."""

    KINDS = ("terms, approve", "approve, terms", "commit, terms", "all three")

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.seen: Counter[str] = Counter()

    async def build(self) -> None:
        [self.creator] = await self.arena.add_members(Role.CREATOR, 1)
        [self.buyer] = await self.arena.add_members(Role.ADVERTISER, 1)
        self.project = await self.arena.add_project(self.creator)

    async def round(self, number: int) -> None:
        """One race on a slot of its own, of the kind that the number says."""
        creator, buyer = self.creator, self.buyer
        kind = self.KINDS[number % 4]
        [slot] = await self.arena.add_slots(creator, self.project, 1)
        bid = made(await call(self.arena, buyer, number, f"/slots/{slot}/bids", BID))["id"]
        first, second = (buyer, creator) if kind == "approve, terms" else (creator, buyer)
        made(await call(self.arena, first, number, f"/bids/{bid}/approve"))
        if kind == "commit, terms":
            made(await call(self.arena, second, number, f"/bids/{bid}/approve"))
        calls = []
        if kind != "commit, terms":
            calls.append(call(self.arena, second, number + 1, f"/bids/{bid}/approve", {"termsVersion": 1}))
        if kind in ("commit, terms", "all three"):
            calls.append(call(self.arena, buyer, number + 1, f"/bids/{bid}/commit", {"amount": 1500}))
        changes = {"baseVersion": 1, "amount": 9000}
        calls.insert(0, call(self.arena, first, number, f"/bids/{bid}/terms", changes))
        answers = await asyncio.gather(*calls)
        assert {answer.status for answer in answers} <= {200, 201, 409}, [answer.body for answer in answers]
        self.seen[f"{kind}: {' '.join(str(answer.status) for answer in answers)}"] += 1
        await self.judge(kind, [answer.status for answer in answers], bid)

    async def judge(self, kind: str, statuses: list[int], bid: str) -> None:
        async with self.arena.wire(self.creator) as wire:
            found = made(await wire.call("GET", f"/bids/{bid}"))
        stands = (found["status"], found["termsVersion"], found["amount"])
        if kind == "commit, terms":
            assert statuses == [409, 201], "an Accepted bid takes no new terms"
        else:
            assert sorted(statuses[:2]) == [200, 409], "the new terms or the approval of the old, never both"
        if 201 in statuses:
            assert stands == ("Committed", 1, 1500)
        elif statuses[0] == 200:
            assert stands == ("Pending", 2, 9000)
        else:
            assert stands == ("Accepted", 1, 1500)


class Bulk:
    """R9: catalogues and invitations with shuffled and repeated ids, all at once."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.dice = random.Random(1)

    async def build(self) -> None:
        [self.creator] = await self.arena.add_members(Role.CREATOR, 1)
        [self.merchant] = await self.arena.add_members(Role.MERCHANT, 1)
        self.buyers = [each.id for each in await self.arena.add_members(Role.ADVERTISER, 12)]
        project = await self.arena.add_project(self.creator)
        self.slots = await self.arena.add_slots(self.creator, project, 2, visibility="Private")

    async def round(self, number: int) -> None:
        loads = [self.load(number, each) for each in range(CATALOGUES)]
        counts, invited = await asyncio.gather(
            asyncio.gather(*loads), asyncio.gather(*(self.invite(each) for each in range(INVITATIONS)))
        )
        assert [found["count"] for found in counts] == [ROWS] * CATALOGUES
        assert sum(found["created"] for found in counts) == ROWS, "each item is made once, and updated by the others"
        for ids in invited:
            assert len(set(ids)) == len(ids), "who is named twice is invited once"
        await invariants.must_hold(self.arena.dsn)

    async def load(self, number: int, price: int) -> dict[str, int]:
        order = self.dice.sample(range(ROWS), ROWS)
        lines = [f"Thermos,{10 + price},40,item-{number}-{each}" for each in order]
        content = "\r\n".join(["title,price,margin,externalId", *lines])
        head = '--edge\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
        body = f"{head}{content}\r\n--edge--\r\n".encode()
        async with self.arena.wire(self.merchant, price) as wire:
            kind = {"content-type": "multipart/form-data; boundary=edge"}
            found: dict[str, int] = made(await wire.send("POST", "/skus/bulk", body, **kind))
        return found

    async def invite(self, number: int) -> list[str]:
        ids = self.dice.choices(self.buyers, k=20)
        async with self.arena.wire(self.creator, number) as wire:
            answer = await wire.call("PUT", f"/slots/{self.slots[number % 2]}/invitees", {"userIds": ids})
        found: list[str] = made(answer)["userIds"]
        return found
