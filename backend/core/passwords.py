"""Password hashes: argon2id first, bcrypt accepted and upgraded, computed in threads of their own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from passlib.context import CryptContext

from backend.core.errors import Invalid
from backend.core.version import NAME

BCRYPT_LIMIT = 72  # bytes; bcrypt 5 raises above it, on hash and on verify
LIBRARY_LIMIT = 4096  # passlib raises above it
_NICE = 10  # a tenth of the weight of a thread that has not stepped back
# One core is left to whatever answers other calls; two hashes at once are 40 MB (decision 93).
HASHING_THREADS = max(1, min(2, (os.cpu_count() or 1) - 1))

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
    """A storm of logins queues here instead of taking the processor and the memory."""
    return ThreadPoolExecutor(max_workers=HASHING_THREADS, thread_name_prefix="passwords", initializer=_give_way)


def _give_way() -> None:
    """Let the kernel prefer whatever answers other calls (Linux has a priority for each thread; decision 0093)."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


@lru_cache
def _decoy() -> str:
    """A hash that no password fits, so that an unknown user takes the time of a known one."""
    digest: str = _context.hash("no password is this long and this well known to nobody")
    return digest


def _normal(password: str) -> bytes:
    """The same characters typed on another keyboard are the same password (NFKC, NIST SP 800-63B).

    What is longer than the library takes is digested first: 1024 characters can grow eighteenfold.
    """
    text = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return text if len(text) <= LIBRARY_LIMIT else hashlib.sha512(text).hexdigest().encode()


@lru_cache
def _common() -> frozenset[str]:
    """Passwords that everybody tries first, folded (docs/decisions/0091)."""
    return frozenset((Path(__file__).parent / "common-passwords.txt").read_text(encoding="utf-8").split("\n"))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def must_be_uncommon(password: str, email: str, name: str, *, field: str = "password") -> None:
    """Raises Invalid `common_password` for one of the most used passwords, the account's own words, or our name.

    Letter case and the spaces around do not make it another one.
    """
    folded = _folded(password)
    if folded in _common():
        raise Invalid.field(field, "is one of the most used passwords; choose another", code="common_password")
    if folded in {_folded(each) for each in (email, email.partition("@")[0], name, NAME)}:
        raise Invalid.field(field, "is a word that everybody can guess; choose another", code="common_password")


def _fits(password: str, digest: str) -> bool:
    scheme = _context.identify(digest)
    if scheme is None:
        return False
    # Programs that still wrote bcrypt normalised nothing, and it read no more than 72 bytes.
    text = password.encode("utf-8", "surrogatepass")[:BCRYPT_LIMIT] if scheme == "bcrypt" else _normal(password)
    try:
        fits: bool = _context.verify(text, digest)
    except ValueError:  # a hash that cannot be read, or a NUL for bcrypt
        return False
    return fits


def _check(password: str, digest: str | None) -> tuple[bool, str | None]:
    decoy = _decoy()
    fits = _fits(password, digest if digest is not None else decoy)
    if digest is None or not fits:
        return False, None
    return True, _context.hash(_normal(password)) if _context.needs_update(digest) else None


async def hash_password(password: str) -> str:
    """The hash to store."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), lambda: _context.hash(_normal(password)))


async def check_password(password: str, digest: str | None) -> tuple[bool, str | None]:
    """Whether the password fits, and a better hash to store when the kept one is of an older kind.

    A digest of None (an unknown user) takes the same time and never fits; neither does what is no hash at all.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads(), _check, password, digest)
