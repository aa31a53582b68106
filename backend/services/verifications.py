"""Verifications: a user proves their e-mail address by a link that was mailed to it.

The token is made like that of a password reset: derived from its row's id and the signing secret, so that it can be
written into the mail after COMMIT and is stored nowhere. Nothing waits for the proof but linking (decision 0087).
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Invalid
from backend.core.ids import new_id
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds
from backend.core.tokens import derive_secret, hash_secret
from backend.models.events import ActorRole, SubjectType
from backend.models.mails import MailKind
from backend.models.users import EmailVerification, User
from backend.policies.users import Actor
from backend.schemas.users import VerifyEmail
from backend.services import events, notifications
from backend.services.mails.writing import VERIFICATION

_COLUMNS = ("id", "token_hash", "created_at", "expires_at")
_OFFER = Statement(
    upsert(EmailVerification)
    .values(user_id=bindparam("p_user"), **binds(*_COLUMNS))
    .on_conflict_do_update(index_elements=[EmailVerification.user_id], set_=binds(*_COLUMNS))
)
_IS_PROVEN = Statement(select(User.email_verified_at).where(User.id == bindparam("p_user")))
_STANDS = (
    EmailVerification.token_hash == bindparam("p_hash"),
    EmailVerification.expires_at > bindparam("p_now"),
)
_FIND = Statement(select(EmailVerification.user_id).where(*_STANDS))
_LOCK_ACTIVE = Statement(
    select(User.id).where(User.id == bindparam("p_user"), User.is_active).with_for_update(key_share=True)
)
_TAKE = Statement(delete(EmailVerification).where(*_STANDS).returning(EmailVerification.user_id))
_FORGET = Statement(delete(EmailVerification).where(EmailVerification.user_id == bindparam("p_user")))
_PROVE = Statement(
    update(User)
    .where(User.id == bindparam("p_user"), User.email_verified_at.is_(None))
    .values(email_verified_at=bindparam("p_now"), updated_at=bindparam("p_now"))
    .returning(User.id)
)


async def offer(tx: Tx, user_id: UUID, secret: str) -> None:
    """Mail a link that proves the user's address; links from before are no good any more."""
    now, verification_id = clock.now(), new_id()
    await _OFFER.one(
        tx,
        p_user=user_id,
        p_id=verification_id,
        p_token_hash=hash_secret(derive_secret(secret, VERIFICATION, verification_id)),
        p_created_at=now,
        p_expires_at=now + timedelta(seconds=tx.settings.email_verification_expires_in),
    )
    notifications.queue(tx, MailKind.EMAIL_VERIFICATION, user_id, verification_id=verification_id)


async def resend(tx: Tx, actor: Actor, secret: str) -> Reply:
    """Mail the caller a new link, unless the address is proven already."""
    if await _IS_PROVEN.value(tx, p_user=actor.id) is None:
        await offer(tx, actor.id, secret)
    return Reply(b"{}")


async def verify(tx: Tx, body: VerifyEmail) -> Reply:
    """The address is proven by the token from the mail. Raises Invalid `invalid_verification_token`."""
    token = hash_secret(body.token)
    user_id = await _FIND.value(tx, p_hash=token, p_now=clock.now())
    if user_id is None or await _LOCK_ACTIVE.one(tx, p_user=user_id) is None:
        raise _not_valid()
    # Whoever removes the row has the one use.
    if await _TAKE.one(tx, p_hash=token, p_now=clock.now()) is None:
        raise _not_valid()
    await prove(tx, user_id)
    return Reply(b"")


async def prove(tx: Tx, user_id: UUID) -> None:
    """The address is proven from now on, or stays so: a secret that was mailed there has come back."""
    if await _PROVE.one(tx, p_user=user_id, p_now=clock.now()) is not None:
        await _FORGET.one(tx, p_user=user_id)
        line = events.line(ActorRole.ANONYMOUS, "user.email_verified", (SubjectType.USER, user_id))
        await events.record(tx, line)


def _not_valid() -> Invalid:
    return Invalid.field("token", "is not valid any more; ask for a new one", code="invalid_verification_token")
