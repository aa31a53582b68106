"""R7, the long form: commits that fail, connections cut during COMMIT, and reads elsewhere right after a 2xx."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

from tests.commands.running import serving
from tests.faults import invariants, kills
from tests.faults.arena import SECRET, Arena, Member, connected, made
from tests.faults.proxy import Cut, Proxy, proxied

RAISE_AT_COMMIT = """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
    CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON comments DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.text LIKE 'fail%') EXECUTE FUNCTION fail();
"""


class Commits:
    """Two processes on one database: the first reaches it through a proxy, the second itself."""

    def __init__(self, arena: Arena, proxy: Proxy) -> None:
        self.arena, self.proxy = arena, proxy
        self.answers: Counter[str] = Counter()

    async def build(self) -> None:
        self.writers = await kills.bids(self.arena)

    async def fail(self, count: int) -> None:
        """So many commits that PostgreSQL refuses, each beside one that it takes."""
        async with connected(self.arena.dsn) as connection:
            await connection.execute(RAISE_AT_COMMIT)

        async def one(lane: int) -> None:
            member, bid = self.writers[lane]
            async with self.arena.wire(member, lane) as wire:
                for number in range(lane, count, len(self.writers)):
                    for text, status in ((f"fail {number}", 500), (f"stay {number}", 201)):
                        key = {"idempotency-key": text}
                        answer = await wire.call("POST", f"/bids/{bid}/comments", {"text": text}, **key)
                        assert answer.status == status, answer.body
                        self.answers[f"{status}"] += 1

        await asyncio.gather(*(one(lane) for lane in range(len(self.writers))))
        async with connected(self.arena.dsn) as connection:
            counts = "SELECT count(*) FILTER (WHERE text LIKE 'fail%'), count(*) FILTER (WHERE text LIKE 'stay%')"
            assert tuple(await connection.fetchrow(f"{counts} FROM comments") or ()) == (0, count)
            assert await connection.fetchval("SELECT count(*) FROM idempotency_keys WHERE key LIKE 'fail%'") == 0

    async def cut(self, count: int) -> None:
        """So many connections cut during COMMIT: 503, and the same key finds out what became of it."""
        member, bid = self.writers[0]
        path = f"/bids/{bid}/comments"
        async with self.arena.wire(member) as wire, connected(self.arena.dsn) as connection:
            for number in range(count):
                how: Cut = "before" if number % 2 else "after"
                body, key = {"text": f"cut {number}"}, {"idempotency-key": f"cut {number}"}
                self.proxy.cut = how
                answer = await wire.call("POST", path, body, **key)
                assert (answer.status, answer.code) == (503, "database_unavailable"), answer.body
                there = "SELECT count(*) FROM comments WHERE text = $1"
                assert await connection.fetchval(there, body["text"]) == (how == "after")
                again = await wire.call("POST", path, body, **key)
                assert again.status == 201
                assert ("idempotent-replayed" in again.headers) == (how == "after")
                assert await connection.fetchval(there, body["text"]) == 1
        assert self.proxy.cuts == count

    async def read(self, count: int) -> None:
        """So many reads on one process right after the 2xx of the other."""

        async def one(lane: int, member: Member, bid: str) -> None:
            async with self.arena.wire(member, lane) as here, self.arena.wire(member, lane + 1) as there:
                for number in range(lane, count, len(self.writers)):
                    version = number // len(self.writers) + 1
                    body = {"baseVersion": version, "amount": 500 + version}
                    made(await here.call("POST", f"/bids/{bid}/terms", body))
                    seen = made(await there.call("GET", f"/bids/{bid}"))
                    assert (seen["termsVersion"], seen["amount"]) == (version + 1, 500 + version)

        await asyncio.gather(*(one(lane, *each) for lane, each in enumerate(self.writers)))


async def run(folder: Path, dsn: str, count: int) -> None:
    """`count` failed commits, half as many cuts, ten times as many reads."""
    async with AsyncExitStack() as stack:
        address, proxy = await stack.enter_async_context(proxied(dsn))
        urls = []
        for name, url in (("one", address), ("two", dsn)):
            (folder / name).mkdir()
            # Without the timer, whose commits would be cut instead.
            settings = {"DATABASE_URL": url, "JWT_SECRET": SECRET, "APP_ENV": "test", "LOG_LEVEL": "error"}
            serves = serving(folder / name, port=None, **settings)
            urls.append((await asyncio.to_thread(stack.enter_context, serves)).url)
        commits = Commits(Arena(dsn, urls), proxy)
        await commits.build()
        await commits.fail(count)
        await commits.cut(count // 2)
        await commits.read(10 * count)
        await invariants.must_hold(dsn)
