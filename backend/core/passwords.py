"""Password hashes: argon2id first, bcrypt accepted and upgraded, computed in threads of their own."""

from __future__ import annotations

import asyncio
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from passlib.context import CryptContext

BCRYPT_LIMIT = 72  # bytes; bcrypt 5 raises above it, on hash and on verify

# OWASP's minimum for argon2id: 19 MiB, two passes, one lane.
_context = CryptContext(
    schemes=["argon2", "bcrypt"],
    deprecated="auto",
    argon2__type="ID",
    argon2__memory_cost=19456,
    argon2__time_cost=2,
    argon2__parallelism=1,
)


@lru_cache
def _threads() -> ThreadPoolExecutor:
    """Two threads at the most: a storm of logins queues here instead of taking the processor and the memory."""
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


@lru_cache
def _decoy() -> str:
    """A hash that no password fits, so that an unknown user takes the time of a known one."""
    digest: str = _context.hash("no password is this long and this well known to nobody")
    return digest


def _normal(password: str) -> str:
    """The same characters typed on another keyboard are the same password (NFKC, NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)


def _check(password: str, digest: str | None) -> tuple[bool, str | None]:
    known = digest or _decoy()
    text = _normal(password)
    if _context.identify(known) == "bcrypt" and len(text.encode()) > BCRYPT_LIMIT:
        return False, None
    valid, upgraded = _context.verify_and_update(text, known)
    return valid and digest is not None, upgraded


async def hash_password(password: str) -> str:
    """The hash to store."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), lambda: _context.hash(_normal(password)))


async def check_password(password: str, digest: str | None) -> tuple[bool, str | None]:
    """Whether the password fits, and a better hash to store when the kept one is of an older kind.

    A digest of None (an unknown user) takes the same time and never fits.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads(), _check, password, digest)
