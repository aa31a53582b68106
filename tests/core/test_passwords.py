"""Password hashes: what is stored, what fits, what is upgraded."""

from __future__ import annotations

import asyncio
import os
import threading
import unicodedata

import bcrypt
import pytest
from passlib.context import CryptContext

from backend.core import passwords
from backend.core.passwords import check_password, hash_password

REAL = "$argon2id$v=19$m=19456,t=2,p=1$"
LONGEST = 1024


def old_hash(password: bytes) -> str:
    """A bcrypt hash as older programs made it: of the first 72 bytes."""
    return bcrypt.hashpw(password[:72], bcrypt.gensalt(4)).decode()


@pytest.fixture
def real_passwords(real_context: CryptContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing at the cost of production."""
    monkeypatch.setattr(passwords, "_context", real_context)


@pytest.mark.usefixtures("real_passwords")
async def test_hashes_are_argon2id_at_owasps_minimum() -> None:
    digest = await hash_password("a password of some length")
    assert digest.startswith(REAL)
    assert await check_password("a password of some length", digest) == (True, None)


async def test_a_cheaper_argon2_hash_is_upgraded() -> None:
    cheap = CryptContext(schemes=["argon2"], argon2__memory_cost=32, argon2__time_cost=1, argon2__parallelism=1)
    valid, better = await check_password("a password", cheap.hash("a password"))
    assert valid
    assert better is not None
    assert await check_password("a password", better) == (True, None)


@pytest.mark.parametrize(
    "password",
    ["hunter2 hunter2", "p" * 73, "ü" * 40, "€" * LONGEST],
    ids=["short", "73 bytes", "80 bytes", "3072 bytes"],
)
async def test_a_bcrypt_hash_is_accepted_and_upgraded_to_the_whole_password(password: str) -> None:
    valid, better = await check_password(password, old_hash(password.encode()))
    assert valid
    assert better is not None
    assert better.startswith("$argon2id$")
    assert await check_password(password, better) == (True, None)
    assert not (await check_password(password[:-1], better))[0], "bcrypt's 72 bytes are history"


async def test_a_wrong_password_fits_no_bcrypt_hash() -> None:
    assert await check_password("wrong", old_hash(b"right")) == (False, None)


async def test_an_unknown_user_is_checked_against_a_decoy() -> None:
    assert await check_password("no password is this long and this well known to nobody", None) == (False, None)


@pytest.mark.parametrize("kept", ["", "!", "$argon2id$nonsense", "$2b$12$short", "plain"])
async def test_what_is_no_hash_fits_nothing(kept: str) -> None:
    for password in ("", kept, "plain"):
        assert await check_password(password, kept) == (False, None)


@pytest.mark.parametrize(
    "password",
    ["x" * LONGEST, "🎬" * LONGEST, "ﷺ" * LONGEST, " leading and trailing ", "נסיעת לילה", "a\x00b12345"],
    ids=["long", "four bytes", "grows eighteenfold when normalised", "blanks", "right to left", "NUL"],
)
async def test_any_unicode_of_any_length_works_whole(password: str) -> None:
    digest = await hash_password(password)
    assert (await check_password(password, digest))[0]
    assert not (await check_password(password + "x", digest))[0]
    assert not (await check_password(password[:-1], digest))[0]


async def test_another_keyboards_way_to_type_it_is_the_same_password() -> None:
    typed = "crème brûlée"
    digest = await hash_password(unicodedata.normalize("NFC", typed))
    assert (await check_password(unicodedata.normalize("NFD", typed), digest))[0]


@pytest.mark.parametrize("password", ["\ud800 lone surrogate", "x" * 100_000], ids=["surrogate", "huge"])
async def test_what_nobody_could_have_signed_up_with_fits_nothing(password: str) -> None:
    digest = await hash_password("a password")
    assert await check_password(password, digest) == (False, None)
    assert await check_password(password, old_hash(b"a password")) == (False, None)
    assert await check_password(password, None) == (False, None)


async def test_a_storm_of_passwords_leaves_the_loop_free_and_fills_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """S7, its short form: nobody's hash is let go before the loop has been asked, so hashing on the loop would hang."""
    let_go, running, most, priorities = threading.Event(), 0, 0, set()
    lock = threading.Lock()

    def slow(text: bytes) -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            priorities.add(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        assert let_go.wait(30), "the loop never came to its turn"
        with lock:
            running -= 1
        return text.decode()

    monkeypatch.setattr(passwords._context, "hash", slow)
    storm = [asyncio.create_task(hash_password(f"password {number}")) for number in range(50)]
    await asyncio.sleep(0.05)
    let_go.set()
    assert await asyncio.gather(*storm) == [f"password {number}" for number in range(50)]
    assert most == passwords.HASHING_THREADS
    assert min(priorities) > os.getpriority(os.PRIO_PROCESS, 0)
