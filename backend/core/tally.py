"""Counting what happens often, in memory, until a job writes it down: it costs a caller nothing, and has an end."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Count:
    """How often something happened, and its first time: when, and in which request."""

    first: datetime
    request_id: str | None
    times: int = 0


@dataclass(frozen=True, slots=True)
class Taken(Generic[K]):
    """What a job takes to write: each thing of each minute with its count, and how many had no place."""

    counts: dict[tuple[datetime, K], Count]
    beyond: int


class Tally(Generic[K]):
    """Counts of one process, by thing and minute.

    It knows at most `most` different things a minute, and keeps at most twice as many that wait to be written (the
    database may be away). What has no place is counted together: the record then says how much it does not say.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._minute: datetime | None = None
        self._known: set[K] = set()  # of this minute
        self._waiting: dict[tuple[datetime, K], Count] = {}
        self._beyond = 0

    def add(self, thing: K, now: datetime, request_id: str | None) -> None:
        """Count one more."""
        minute = now.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute = minute
            self._known.clear()
        if thing not in self._known and len(self._known) >= self._most:
            self._beyond += 1
            return
        self._known.add(thing)
        key = (minute, thing)
        if key not in self._waiting and len(self._waiting) >= 2 * self._most:
            self._beyond += 1
            return
        self._waiting.setdefault(key, Count(now, request_id)).times += 1

    def take(self) -> Taken[K]:
        """All that waits; from now on it is the caller's."""
        taken = Taken(self._waiting, self._beyond)
        self._waiting, self._beyond = {}, 0
        return taken

    def give_back(self, taken: Taken[K]) -> None:
        """It could not be written: what was taken waits again, as far as there is room."""
        newer, self._waiting = self._waiting, taken.counts
        self._beyond += taken.beyond
        for key, count in newer.items():
            if key in self._waiting:
                self._waiting[key].times += count.times
            elif len(self._waiting) < 2 * self._most:
                self._waiting[key] = count
            else:
                self._beyond += count.times
