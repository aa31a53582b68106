"""Passwords: changing one's own, and a way back in by mail for who forgot it.

A reset's token is derived from its row's id and the signing secret (`core.tokens.derive_secret`), so it can be written
into the mail after COMMIT and is stored nowhere: the table holds its hash, the outbox the id.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from asyncpg import Record
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from backend.core import clock
from backend.core.database import Db, Tx
from backend.core.errors import Invalid
from backend.core.ids import new_id
from backend.core.passwords import check_password, hash_password, must_be_uncommon
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds
from backend.core.tokens import derive_secret, hash_secret
from backend.models.events import ActorRole, SubjectType
from backend.models.mails import MailKind
from backend.models.users import PasswordReset, User
from backend.schemas.users import ForgotPassword, PasswordChange, ResetPassword
from backend.services import events, notifications, sessions, verifications
from backend.services.mails.writing import RESET
from backend.services.sessions import Door, SignedInDoor

# Seconds. Every answer to a forgotten password takes this long, whether or not there is an account.
FORGOT_TAKES = 0.25

_OF = Statement(select(User.password_hash, User.email, User.name).where(User.id == bindparam("p_user")))
# Only the hash that was checked is replaced: of two changes at once the second one's current password is wrong.
_REPLACE = Statement(
    update(User)
    .where(User.id == bindparam("p_user"), User.password_hash == bindparam("p_old"))
    .values(password_hash=bindparam("p_new"), updated_at=bindparam("p_now"))
    .returning(User.id)
)
_SET = Statement(
    update(User)
    .where(User.id == bindparam("p_user"))
    .values(password_hash=bindparam("p_new"), updated_at=bindparam("p_now"))
)
_COLUMNS = ("id", "token_hash", "created_at", "expires_at")
_OFFER = Statement(
    upsert(PasswordReset)
    .values(user_id=bindparam("p_user"), **binds(*_COLUMNS))
    .on_conflict_do_update(index_elements=[PasswordReset.user_id], set_=binds(*_COLUMNS))
)
_FORGET = Statement(delete(PasswordReset).where(PasswordReset.user_id == bindparam("p_user")))
_STANDS = (
    PasswordReset.token_hash == bindparam("p_hash"),
    PasswordReset.expires_at > bindparam("p_now"),
)
_FIND = Statement(
    select(User.id, User.email, User.name).join(PasswordReset, PasswordReset.user_id == User.id).where(*_STANDS)
)
_TAKE = Statement(delete(PasswordReset).where(*_STANDS).returning(PasswordReset.user_id))
_LOCK_ACTIVE = Statement(
    select(User.id).where(User.id == bindparam("p_user"), User.is_active).with_for_update(key_share=True)
)


async def change(door: SignedInDoor, body: PasswordChange) -> Reply:
    """A new password; the caller's other sessions end.

    Raises Invalid: `wrong_password` for a wrong current one, `common_password` for a new one that is easily guessed.
    """

    async def look(db: Db) -> Record:
        found = await _OF.one(db, p_user=(await door.actor(db)).id)
        assert found is not None
        return found

    account = await door.look(look)
    kept = account["password_hash"]
    valid, _ = await check_password(body.current_password, kept)
    if not valid:
        raise _wrong()
    must_be_uncommon(body.new_password, account["email"], account["name"], field="newPassword")
    digest = await hash_password(body.new_password)

    async def work(tx: Tx) -> Reply:
        actor = await door.actor(tx)
        if await _REPLACE.one(tx, p_user=actor.id, p_old=kept, p_new=digest, p_now=clock.now()) is None:
            raise _wrong()
        await _FORGET.one(tx, p_user=actor.id)
        await sessions.end_all(tx, actor, actor.id, "password_changed", but=actor.session_id)
        await events.record(tx, events.line(actor, "user.password_changed", (SubjectType.USER, actor.id)))
        return Reply(b"")

    return await door.change(work)


def _wrong() -> Invalid:
    return Invalid.field("currentPassword", "is not your current password", code="wrong_password")


async def forget(door: Door, body: ForgotPassword) -> Reply:
    """Offer a way back in by mail, if there is such an account; the answer and its time say nothing about that."""
    enough = asyncio.get_running_loop().time() + FORGOT_TAKES
    await door.change(lambda tx: _offer(tx, door.secret, body.email))
    await asyncio.sleep(enough - asyncio.get_running_loop().time())
    return Reply(b"{}")


async def _offer(tx: Tx, secret: str, email: str) -> None:
    found = await sessions.find_by_email(tx, email)
    if found is None or not found["is_active"]:
        return
    now, reset_id = clock.now(), new_id()
    await _OFFER.one(
        tx,
        p_user=found["id"],
        p_id=reset_id,
        p_token_hash=hash_secret(derive_secret(secret, RESET, reset_id)),
        p_created_at=now,
        p_expires_at=now + timedelta(seconds=tx.settings.password_reset_expires_in),
    )
    notifications.queue(tx, MailKind.PASSWORD_RESET, found["id"], reset_id=reset_id)
    line = events.line(ActorRole.ANONYMOUS, "user.password_forgotten", (SubjectType.USER, found["id"]))
    await events.record(tx, line)


async def reset(door: Door, body: ResetPassword) -> Reply:
    """A new password for the token from the mail; every session ends, and the address is proven (decision 0087).

    Raises Invalid: `invalid_reset_token`; `common_password`, which does not use the token up.
    """
    token = hash_secret(body.token)
    account = await door.look(lambda db: _FIND.one(db, p_hash=token, p_now=clock.now()))
    if account is None:
        raise _not_valid()
    must_be_uncommon(body.new_password, account["email"], account["name"], field="newPassword")
    digest = await hash_password(body.new_password)
    user_id = account["id"]

    async def work(tx: Tx) -> Reply:
        # The account first, as in every change of it; whoever then removes the row has the token's one use.
        if await _LOCK_ACTIVE.one(tx, p_user=user_id) is None:
            raise _not_valid()
        if await _TAKE.one(tx, p_hash=token, p_now=clock.now()) is None:
            raise _not_valid()
        await _SET.one(tx, p_user=user_id, p_new=digest, p_now=clock.now())
        await verifications.prove(tx, user_id)  # the token came by mail
        await sessions.end_all(tx, ActorRole.ANONYMOUS, user_id, "password_reset")
        line = events.line(ActorRole.ANONYMOUS, "user.password_reset", (SubjectType.USER, user_id))
        await events.record(tx, line)
        return Reply(b"")

    return await door.change(work)


def _not_valid() -> Invalid:
    return Invalid.field("token", "is not valid any more; ask for a new one", code="invalid_reset_token")
