"""The keys that the examples print: refresh tokens, a way to a new password, a proof of address, all the newcomer's.

The services make such tokens at random and tell them once, so these rows are written here (docs/decisions/0045).
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import insert

from backend.core import clock
from backend.core.database import Tx
from backend.core.ids import new_id
from backend.core.statements import Statement, binds
from backend.core.tokens import hash_secret, make_secret
from backend.models.events import SubjectType
from backend.models.identities import Identity, Provider
from backend.models.users import EmailVerification, PasswordReset, RefreshToken, Session
from backend.policies.users import Actor
from backend.schemas.examples.demo import (
    IDENTITY,
    REFRESH_TOKEN,
    REFRESH_TOKEN_TO_END,
    RESET_TOKEN,
    SESSION_TO_END,
    VERIFICATION_TOKEN,
)
from backend.services import security

_OPEN = Statement(insert(Session).values(**binds("id", "user_id", "created_at")))
_ADD_TOKEN = Statement(insert(RefreshToken).values(**binds("token_hash", "session_id", "created_at", "expires_at")))
_LINK = Statement(insert(Identity).values(**binds("id", "user_id", "provider", "subject", "created_at")))
_BY_MAIL = ("user_id", "id", "token_hash", "created_at", "expires_at")
_OFFERS = (
    (RESET_TOKEN, Statement(insert(PasswordReset).values(**binds(*_BY_MAIL)))),
    (VERIFICATION_TOKEN, Statement(insert(EmailVerification).values(**binds(*_BY_MAIL)))),
)


async def hand_out(tx: Tx, owner: Actor) -> None:
    """A session for each refresh token, what comes by mail, an identity; all tokens last as long as that."""
    now = clock.now()
    expires = now + timedelta(seconds=tx.settings.refresh_expires_in)
    lost = (make_secret()[0], UUID(SESSION_TO_END))
    for token, session_id in ((REFRESH_TOKEN, new_id()), (REFRESH_TOKEN_TO_END, new_id()), lost):
        await _OPEN.one(tx, p_id=session_id, p_user_id=owner.id, p_created_at=now)
        await _ADD_TOKEN.one(
            tx, p_token_hash=hash_secret(token), p_session_id=session_id, p_created_at=now, p_expires_at=expires
        )
        subject = (SubjectType.USER, owner.id)
        await security.record(tx, security.line(owner, "session.opened", subject, session_id=session_id))
    made_up = {"p_provider": Provider.GOOGLE.value, "p_subject": "nobody at Google"}
    await _LINK.one(tx, p_id=UUID(IDENTITY), p_user_id=owner.id, p_created_at=now, **made_up)
    for token, offer in _OFFERS:
        await offer.one(
            tx,
            p_user_id=owner.id,
            p_id=new_id(),
            p_token_hash=hash_secret(token),
            p_created_at=now,
            p_expires_at=expires,
        )
