"""Idempotency keys: the same key, caller and request get the same bytes again (api.md).

The key's row is written in the effect's own transaction: a duplicate in flight waits at its unique index until the
first has committed or vanished, and only a success is ever there to be replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asyncpg import Record
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Invalid
from backend.core.statements import Statement
from backend.models.idempotency import IdempotencyKey

_MINE = (IdempotencyKey.user_id == bindparam("p_user"), IdempotencyKey.key == bindparam("p_key"))
_CLAIM = Statement(
    insert(IdempotencyKey)
    .values(
        user_id=bindparam("p_user"),
        key=bindparam("p_key"),
        fingerprint=bindparam("p_fingerprint"),
        created_at=bindparam("p_now"),
    )
    .on_conflict_do_nothing()
    .returning(IdempotencyKey.key)
)
_FIND = Statement(
    select(IdempotencyKey.fingerprint, IdempotencyKey.status, IdempotencyKey.headers, IdempotencyKey.body).where(*_MINE)
)
_KEEP = Statement(
    update(IdempotencyKey)
    .where(*_MINE)
    .values(status=bindparam("p_status"), headers=bindparam("p_headers"), body=bindparam("p_body"))
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its caller sent it, with the digest of the request it stands for."""

    user_id: UUID
    key: str
    fingerprint: bytes


def must_be_sound(key: str) -> None:
    """Raises Invalid unless the key is 1–255 printable ASCII characters."""
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise Invalid.field("Idempotency-Key", "must be 1 to 255 printable ASCII characters")


async def claim(tx: Tx, key: Key) -> Record | None:
    """Claim the key for this transaction; or, when it is spent, the answer to give again.

    Waits for a duplicate in flight. Raises Invalid when the key stands for another request.
    """
    claimed = await _CLAIM.value(
        tx, p_user=key.user_id, p_key=key.key, p_fingerprint=key.fingerprint, p_now=clock.now()
    )
    if claimed is not None:
        return None
    kept = await _FIND.one(tx, p_user=key.user_id, p_key=key.key)
    assert kept is not None, "a conflicting key is committed and visible"
    if kept["fingerprint"] != key.fingerprint:
        raise Invalid(
            "This Idempotency-Key was used for another request.",
            [{"field": "Idempotency-Key", "message": "was used for another request"}],
            code="idempotency_key_reused",
        )
    return kept


async def keep(tx: Tx, key: Key, status: int, headers: dict[str, Any], body: bytes) -> None:
    """Keep the answer beside the effect; both commit, or neither."""
    await _KEEP.one(tx, p_user=key.user_id, p_key=key.key, p_status=status, p_headers=headers, p_body=body)
