"""Rate limits as token buckets (GCRA): what a limit is, how a caller stands, and the buckets of one process.

A bucket is one time, its TAT (theoretical arrival time): the instant at which it is full again. Taking a token moves
it on by `interval`; a bucket whose TAT is more than `capacity - 1` intervals ahead is empty.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

PATTERN = r"^[1-9][0-9]{0,6}/(second|minute|hour)$"
_UNITS = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True, slots=True)
class Limit:
    """`capacity` tokens at once, and as many again in every `seconds`."""

    capacity: int
    seconds: int

    @classmethod
    def read(cls, text: str) -> Limit:
        """A limit as a setting says it: `600/minute`. Raises ValueError."""
        if re.fullmatch(PATTERN, text) is None:
            raise ValueError("a limit is written like 600/minute")
        count, _, unit = text.partition("/")
        return cls(int(count), _UNITS[unit])

    @property
    def interval(self) -> timedelta:
        """How long one token takes to come back."""
        return timedelta(seconds=self.seconds) / self.capacity

    def latest(self, now: datetime) -> datetime:
        """The latest TAT at which a token is left."""
        return now + self.interval * (self.capacity - 1)

    def standing(self, tat: datetime, now: datetime) -> Standing:
        """How a caller stands whose bucket has this TAT."""
        ahead = max(tat - now, timedelta())
        remaining = max(0, (self.interval * self.capacity - ahead) // self.interval)
        wait = tat - self.latest(now)
        return Standing(self.capacity, remaining, math.ceil(ahead.total_seconds()), math.ceil(wait.total_seconds()))


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a limit: tokens, seconds until all are back, and seconds until the next one is."""

    limit: int
    remaining: int
    reset: int
    wait: int

    @property
    def headers(self) -> dict[str, str]:
        """The standing as response headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class SharedBuckets(Protocol):
    """The buckets that all processes share. A subject is what is counted: an address or an account, named in full."""

    async def take(self, subject: str, limit: Limit) -> tuple[bool, Standing]:
        """Take a token: whether there was one, and how the caller stands now. Raises Unavailable."""

    async def give_back(self, subject: str, limit: Limit) -> None:
        """Give a token back. Raises Unavailable."""


class Buckets:
    """The buckets of one process, in memory: the least recently used are forgotten beyond `most`."""

    def __init__(self, limit: Limit, most: int = 100_000) -> None:
        self.limit = limit
        self._most = most
        self._tats: OrderedDict[Hashable, datetime] = OrderedDict()

    def take(self, key: Hashable, now: datetime) -> tuple[bool, Standing]:
        """Take a token: whether there was one, and how the caller stands now."""
        tat = max(self._tats.get(key, now), now)
        taken = tat <= self.limit.latest(now)
        if taken:
            tat += self.limit.interval
            self._tats[key] = tat
            self._tats.move_to_end(key)
            if len(self._tats) > self._most:
                self._tats.popitem(last=False)
        return taken, self.limit.standing(tat, now)
