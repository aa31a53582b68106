"""Comments: the conversation on a bid."""

from __future__ import annotations

from functools import lru_cache
from uuid import UUID

from sqlalchemy import bindparam, insert, select

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import NotFound
from backend.core.ids import new_id
from backend.core.paging import Page, Sort, reply_page
from backend.core.shapes import Reply, Shape
from backend.core.statements import Statement
from backend.models.bids import Bid
from backend.models.comments import Comment
from backend.models.events import SubjectType
from backend.models.users import Role, User
from backend.policies import bids as policy
from backend.policies.users import Actor
from backend.schemas.comments import CommentOut
from backend.services import events

_COMMENT: Shape[None] = Shape(
    CommentOut,
    {
        "id": Comment.id,
        "author_id": Comment.author_id,
        "author_name": User.name,
        "text": Comment.text,
        "timestamp": Comment.created_at,
    },
)
_OLDEST = Sort("createdAt", Comment.created_at, Comment.id, descending=False)
_ALL = select(*_COMMENT.columns).join(User, User.id == Comment.author_id)
_FIND = Statement(_ALL.where(Comment.id == bindparam("p_id")))
_LIST = {
    after: Statement(_OLDEST.apply(_ALL.where(Comment.bid_id == bindparam("p_bid")), after=after))
    for after in (False, True)
}
_ADD = Statement(
    insert(Comment).values(
        id=bindparam("p_id"),
        bid_id=bindparam("p_bid"),
        author_id=bindparam("p_author"),
        text=bindparam("p_text"),
        created_at=bindparam("p_now"),
    )
)


@lru_cache
def _visible(role: Role) -> Statement:
    return Statement(select(Bid.id).where(Bid.id == bindparam("p_bid"), policy.visible(role)))


async def _must_see(db: Db, actor: Actor, bid_id: UUID) -> None:
    if await _visible(actor.role).value(db, p_bid=bid_id, p_actor=actor.id) is None:
        raise NotFound


async def add(tx: Tx, actor: Actor, bid_id: UUID, text: str) -> UUID:
    """A message by the caller on a bid they may see, with its line in the record."""
    comment_id = new_id()
    await _ADD.one(tx, p_id=comment_id, p_bid=bid_id, p_author=actor.id, p_text=text, p_now=clock.now())
    line = events.line(actor, "bid.commented", (SubjectType.BID, bid_id), bid_id=bid_id, comment_id=comment_id)
    await events.record(tx, line)
    return comment_id


async def say(tx: Tx, actor: Actor, bid_id: UUID, *texts: str | None) -> None:
    """Free text never goes into an event: a note or a reason becomes a comment on the bid, which both parties read."""
    for text in texts:
        if text is not None:
            await add(tx, actor, bid_id, text)


async def create(tx: Tx, actor: Actor, bid_id: UUID, text: str) -> Reply:
    """A new message, in any state of the bid. Raises NotFound."""
    await _must_see(tx, actor, bid_id)
    row = await _FIND.one(tx, p_id=await add(tx, actor, bid_id, text))
    assert row is not None
    return _COMMENT.reply(row, None)


async def find_all(db: Db, actor: Actor, bid_id: UUID, page: Page) -> Reply:
    """The conversation, oldest first. Raises NotFound."""
    await _must_see(db, actor, bid_id)
    rows = await _LIST[page.cursor is not None].rows(db, p_bid=bid_id, **_OLDEST.binds(page))
    return reply_page(rows, page, _OLDEST, _COMMENT, None)
