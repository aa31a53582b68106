"""The work that is measured: which calls each row of the table makes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice

from backend.core.tokens import Claims, make_access_token
from benchmarks.load import Call
from benchmarks.seed import BID, GENRES, SESSION, SKU, SLOT, USER, Size, made_id
from benchmarks.servers import SECRET

STAMPEDES = 100  # slots that are stampeded, one a round
MOST = 12_000  # calls that no round of a few seconds can use up


@cache
def token(user: int) -> str:
    """An access token of a seeded user."""
    claims = Claims(made_id(USER, user), made_id(SESSION, user))
    return make_access_token(claims, SECRET, datetime.now(UTC), 86400)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. `calls` is asked anew for every round, since a change can be made only once."""

    name: str
    title: str
    clients: int
    calls: Callable[[], list[Call]]
    status: int = 200


def _available(size: Size) -> list[int]:
    """Auctions that are public and free, whose first bid is Pending, in no order."""
    slots = [slot for slot in range(1, size.slots + 1) if slot % 5 and slot % 20 > 4 and slot % 10 != 3]
    random.Random(7).shuffle(slots)
    return slots


class Work:
    """All rows, for data of one size."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.random = random.Random(11)
        self.free = _available(size)
        self._place = 10
        self._stampede = iter(self.free[:STAMPEDES])
        self._approvals: Iterator[int] = iter(self.free[::-1])

    def rows(self) -> list[Row]:
        """In the order of promises.md."""
        return [
            Row("list", "list of 50 slots with filters", 8, self.lists),
            Row("slot", "one slot", 8, self.slots),
            Row("bid", "one bid", 8, self.bids),
            Row("place", "place a bid, 16 clients on many slots", 16, self.places, 201),
            Row("stampede", "place, 64 clients on one slot", 64, self.stampede, 201),
            Row("approve", "approve", 16, self.approvals),
            Row("matches", "50 slots that fit a SKU", 8, self.matches),
        ]

    def more_rows(self) -> list[Row]:
        """What is measured against its own growth alone."""
        return [
            Row("stats", "a creator's stats", 8, self.stats),
            Row("search", "search by two words", 8, self.searches),
        ]

    def first(self) -> tuple[str, str]:
        """A call that tells whether a program is up: its path and its token."""
        call = self.lists()[0]
        return call.path, call.token

    def a_buyer(self) -> int:
        """Any buyer."""
        return self.size.buyer(self.random.randrange(self.size.buyers))

    def lists(self) -> list[Call]:
        """Slots by genre and price, as 200 buyers ask."""
        queries = [f"genre={self.random.choice(GENRES)}&minPrice={1000 + n % 200}&limit=50" for n in range(200)]
        return [Call("GET", f"/api/v1/slots?{query}", token(self.a_buyer())) for query in queries]

    def matches(self) -> list[Call]:
        """Slots for a product of each of 200 merchants; a fifth of all slots say each of its words."""
        merchants = [self.size.buyer(3 * number) for number in range(200)]
        return [
            Call("GET", f"/api/v1/skus/{made_id(SKU, n * 10 + 2 + n // 4 % 4)}/matches?limit=50", token(n))
            for n in merchants
        ]

    def slots(self) -> list[Call]:
        """Slots one by one."""
        return [Call("GET", f"/api/v1/slots/{made_id(SLOT, slot)}", token(self.a_buyer())) for slot in self.free[:1000]]

    def bids(self) -> list[Call]:
        """Bids one by one, as their buyers ask."""
        asked = self.free[:1000]
        return [Call("GET", f"/api/v1/bids/{made_id(BID, slot)}", token(self.size.bidder(slot, 0))) for slot in asked]

    def stats(self) -> list[Call]:
        """The financing of creators' own projects."""
        creators = [self.size.creator_of(slot) for slot in self.free[:200]]
        return [Call("GET", "/api/v1/commitments/stats", token(creator)) for creator in creators]

    def searches(self) -> list[Call]:
        """Two words: one of many slots, one of few."""
        return [
            Call("GET", f"/api/v1/slots?q=coffee%20{slot}&limit=50", token(self.a_buyer())) for slot in self.free[:200]
        ]

    def _offer(self, slot: int, place: int) -> Call:
        body = f'{{"amount":{1500 + slot % 900}.75,"objective":"Awareness for number {slot}"}}'
        return Call("POST", f"/api/v1/slots/{made_id(SLOT, slot)}/bids", token(self.size.bidder(slot, place)), body)

    def places(self) -> list[Call]:
        """One new bid on each of many slots; a buyer nobody has sent there yet."""
        self._place += 1
        quiet = self.free[STAMPEDES:]  # nobody who runs for a slot has a bid on it yet
        return [self._offer(slot, self._place) for slot in self.random.sample(quiet, min(MOST, len(quiet)))]

    def stampede(self) -> list[Call]:
        """As many bids on one slot as there are buyers."""
        slot = next(self._stampede)
        return [self._offer(slot, place) for place in range(3, 3 + min(MOST, self.size.buyers - 3))]

    def approvals(self) -> list[Call]:
        """The creator's yes to the first bid on each of many slots."""
        return [
            Call("POST", f"/api/v1/bids/{made_id(BID, slot)}/approve", token(self.size.creator_of(slot)))
            for slot in islice(self._approvals, max(100, min(5000, len(self.free) // 22)))
        ]
