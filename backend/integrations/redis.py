"""Redis, when `REDIS_URL` names one: the buckets of the rate limits that all processes share.

It is asked for little and at once: what does not answer within `PATIENCE` is a 503 for who signs in (decision 0092).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from backend.core import clock
from backend.core.errors import Unavailable
from backend.core.limits import Limit, Standing

PATIENCE = 2.0  # seconds, to connect and for each answer
_TURN = 10.0  # seconds to wait for one of the connections
_MOST_CONNECTIONS = 8
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# One step of a bucket (backend/core/limits.py), in microseconds: {whether a token was taken, the TAT from now on}.
# A bucket that is full again says no more than its absence, so it expires then.
_TAKE = """
local now, step, latest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
if tat > latest then return {0, tat} end
tat = tat + step
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000))
return {1, tat}
"""
_GIVE_BACK = """
local tat = redis.call('GET', KEYS[1])
if tat then redis.call('SET', KEYS[1], string.format('%.0f', tonumber(tat) - tonumber(ARGV[1])), 'KEEPTTL') end
"""


class RedisBuckets:
    """The shared buckets, in Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def take(self, subject: str, limit: Limit) -> tuple[bool, Standing]:
        """Take a token: whether there was one, and how the caller stands now. Raises Unavailable without Redis."""
        now = clock.now()
        times = (_micros(now - _EPOCH), _micros(limit.interval), _micros(limit.latest(now) - _EPOCH))
        try:
            taken, tat = await self._client.eval(_TAKE, 1, _key(subject), *times)
        except (RedisError, OSError, TimeoutError):
            raise Unavailable() from None
        return bool(taken), limit.standing(_EPOCH + timedelta(microseconds=int(tat)), now)

    async def give_back(self, subject: str, limit: Limit) -> None:
        """Give a token back. Raises Unavailable without Redis."""
        try:
            await self._client.eval(_GIVE_BACK, 1, _key(subject), _micros(limit.interval))
        except (RedisError, OSError, TimeoutError):
            raise Unavailable() from None


def _micros(span: timedelta) -> int:
    return span // _MICROSECOND


def _key(subject: str) -> str:
    """The bucket's name, a digest: no address of anyone is kept.

    Folded further than PostgreSQL folds an address to look its account up, since a spelling that reaches an account
    must never be a bucket of its own: `İ` is an `i` there.
    """
    letters = unicodedata.normalize("NFKD", subject.casefold())
    folded = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return f"backdrop:limit:{hashlib.sha256(folded.encode('utf-8', 'replace')).hexdigest()}"


@asynccontextmanager
async def redis_buckets(url: str) -> AsyncIterator[RedisBuckets]:
    """The buckets while the block runs. Nothing is connected to before the first token is taken."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_MOST_CONNECTIONS,
        timeout=_TURN,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 1),  # a connection that Redis closed is opened again, once
    )
    client = Redis(connection_pool=pool)
    try:
        yield RedisBuckets(client)
    finally:
        await client.aclose()
        await pool.aclose()
