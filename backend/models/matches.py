"""The words of slots, for finding those that a SKU may match."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from backend.models.base import Base, text_length


class SlotWord(Base):
    """A word that a slot says, once, with the points of its best place (10, 4, 2 or 1).

    A trigger on slots writes these rows (`keep_words`); nothing else does. The index gives the best and newest slots of
    a word without reading the others, however common the word is.
    """

    __tablename__ = "slot_words"

    slot_id: Mapped[UUID] = mapped_column(ForeignKey("slots.id"), primary_key=True)
    word: Mapped[str] = mapped_column(primary_key=True)
    points: Mapped[int] = mapped_column(SmallInteger)

    __table_args__ = (
        text_length("word", 64),
        CheckConstraint("points BETWEEN 1 AND 10", name="points_known"),
        Index("ix_slot_words_word", "word", "points", "slot_id"),
    )
