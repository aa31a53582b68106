"""Which memos were issued, asked by the digest of what they state or of the file."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import Invalid
from backend.core.shapes import Reply, encode
from backend.core.statements import Statement, binds
from backend.models.events import SubjectType
from backend.models.memos import Memo as MemoRow
from backend.models.memos import MemoFile
from backend.policies.users import Actor
from backend.schemas.views import Paper
from backend.services import events, security
from backend.services.memos.printing import Memo

_DIGEST = re.compile("[0-9a-fA-F]{64}")
_ISSUED = {
    table: select(table.issued_at).where(table.sha256 == bindparam("p_sha256")).scalar_subquery()
    for table in (MemoRow, MemoFile)
}
# One statement for both, whether or not either is there.
_FIND = Statement(select(func.coalesce(*_ISSUED.values())))
_KEEP = Statement(
    insert(MemoFile).values(**binds("sha256", "bid_id", "terms_version", "issued_at")).on_conflict_do_nothing()
)


async def keep_file(tx: Tx, actor: Actor, memo: Memo, document: bytes) -> None:
    """Remember the digest of a memo's file, who takes it, and that they see the scene in it, before the file leaves."""
    if memo.data["placement"]["script"] is not None:
        about = {"slot_id": memo.slot_id, "bid_id": memo.bid_id}
        await events.viewed(tx, actor, Paper.MEMO, memo.project_id, memo.draft_number, **about)
    await _KEEP.one(
        tx,
        p_sha256=hashlib.sha256(document).digest(),
        p_bid_id=memo.bid_id,
        p_terms_version=memo.terms_version,
        p_issued_at=clock.now(),
    )
    subject = (SubjectType.BID, memo.bid_id)
    await security.record(tx, security.line(actor, "memo.exported", subject, version=memo.terms_version))


async def verify(db: Db, digest: str) -> Reply:
    """Whether a memo with this digest (hexadecimal) was issued, and when. Raises Invalid for what is no digest."""
    if _DIGEST.fullmatch(digest) is None:
        raise Invalid.field("sha256", "must be a SHA-256 in hexadecimal: 64 digits")
    issued_at: datetime | None = await _FIND.value(db, p_sha256=bytes.fromhex(digest))
    return Reply(encode({"issued": issued_at is not None, "issuedAt": issued_at}))
