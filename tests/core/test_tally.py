"""Counting in memory: by thing and minute, with an end whatever happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backend.core.tally import Tally

NOW = datetime(2026, 11, 21, 12, 0, 30, tzinfo=UTC)


def counts(tally: Tally[str]) -> tuple[dict[str, int], int]:
    taken = tally.take()
    return {thing: count.times for (_, thing), count in taken.counts.items()}, taken.beyond


def test_what_is_alike_within_a_minute_is_one_count_with_its_first_time() -> None:
    tally = Tally[str](10)
    for second in range(4):
        tally.add("a", NOW + timedelta(seconds=second), f"request-{second}")
    tally.add("b", NOW, None)
    tally.add("a", NOW + timedelta(minutes=1), "later")
    taken = tally.take()
    minute = NOW.replace(second=0)
    assert taken.counts[(minute, "a")].times == 4
    assert (taken.counts[(minute, "a")].first, taken.counts[(minute, "a")].request_id) == (NOW, "request-0")
    assert taken.counts[(minute + timedelta(minutes=1), "a")].times == 1
    assert len(taken.counts) == 3
    assert counts(tally) == ({}, 0), "what is taken is the taker's"


def test_beyond_the_most_of_a_minute_only_a_number_is_kept() -> None:
    tally = Tally[str](2)
    for thing in ("a", "b", "c", "d", "a"):
        tally.add(thing, NOW, None)
    assert counts(tally) == ({"a": 2, "b": 1}, 2)
    for thing in ("c", "b"):  # the same minute: taking makes no room for new things, known ones count on
        tally.add(thing, NOW, None)
    assert counts(tally) == ({"b": 1}, 1)
    tally.add("c", NOW + timedelta(minutes=1), None)
    assert counts(tally) == ({"c": 1}, 0)


def test_what_cannot_be_written_waits_and_does_not_grow_without_end() -> None:
    tally = Tally[str](2)
    for minute in range(100):  # the database is away for longer than an hour
        for thing in ("a", "b", "c"):
            tally.add(thing, NOW + timedelta(minutes=minute), None)
        tally.give_back(tally.take())
    taken = tally.take()
    assert len(taken.counts) == 4
    assert taken.beyond == 300 - 4


def test_counts_that_come_back_join_the_newer_ones() -> None:
    tally = Tally[str](2)
    tally.add("a", NOW, "first")
    taken = tally.take()
    tally.add("a", NOW + timedelta(seconds=1), "second")
    tally.add("b", NOW, None)
    tally.give_back(taken)
    back = tally.take()
    both = back.counts[(NOW.replace(second=0), "a")]
    assert (both.times, both.request_id) == (2, "first")
    assert back.counts[(NOW.replace(second=0), "b")].times == 1
