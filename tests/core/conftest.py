"""What the tests of core share."""

from __future__ import annotations

import pytest
from passlib.context import CryptContext

from backend.core import passwords

# Read before the suite makes hashing cheap.
_REAL = passwords._context


@pytest.fixture(scope="session")
def real_context() -> CryptContext:
    """Hashing as production does it."""
    return _REAL
