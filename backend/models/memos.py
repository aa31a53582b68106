"""Memos: what was issued when both sides had approved, and the files in which it left."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, text_length


class Memo(Base):
    """What one approved version of the terms was issued as. Rows never change (a trigger).

    `content` is canonical JSON (services/memos), `sha256` its digest: the one that the memo carries.
    """

    __tablename__ = "memos"

    bid_id: Mapped[UUID] = mapped_column(primary_key=True)
    terms_version: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str]
    sha256: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    issued_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(["bid_id", "terms_version"], ["terms.bid_id", "terms.version"], name="fk_memos_terms"),
        text_length("content", 100_000),
        CheckConstraint("sha256 = sha256(convert_to(content, 'UTF8'))", name="sha256_of_content"),
    )


class MemoFile(Base):
    """A PDF of a memo that left, by its digest, and when it first did. The state of the deal makes other bytes."""

    __tablename__ = "memo_files"

    sha256: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    bid_id: Mapped[UUID]
    terms_version: Mapped[int]
    issued_at: Mapped[datetime]

    __table_args__ = (
        ForeignKeyConstraint(
            ["bid_id", "terms_version"], ["memos.bid_id", "memos.terms_version"], name="fk_memo_files_memo"
        ),
        CheckConstraint("length(sha256) = 32", name="sha256_length"),
        Index("ix_memo_files_bid_id_terms_version", "bid_id", "terms_version"),
    )
