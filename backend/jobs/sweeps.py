"""Sweeps: rows that have served are deleted, a bounded number at a time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ARRAY, Uuid, any_, bindparam, delete, exists, select, tuple_

from backend.core import clock
from backend.core.database import Database, Tx
from backend.core.statements import Statement
from backend.models.idempotency import IdempotencyKey
from backend.models.identities import SignIn
from backend.models.mails import Mail
from backend.models.security import SecurityEvent
from backend.models.users import RefreshToken, Session

BATCH = 1000

_OLD_KEYS = (
    select(IdempotencyKey.user_id, IdempotencyKey.key)
    .where(IdempotencyKey.created_at < bindparam("p_before"))
    .order_by(IdempotencyKey.created_at)
    .limit(bindparam("p_limit"))
    .with_for_update(skip_locked=True)
)
_SWEEP_KEYS = Statement(
    delete(IdempotencyKey)
    .where(tuple_(IdempotencyKey.user_id, IdempotencyKey.key).in_(_OLD_KEYS))
    .returning(IdempotencyKey.key)
)


_OLD_TOKENS = (
    select(RefreshToken.token_hash)
    .where(RefreshToken.expires_at < bindparam("p_before"))
    .order_by(RefreshToken.expires_at)
    .limit(bindparam("p_limit"))
    .with_for_update()
)
_SWEEP_TOKENS = Statement(
    delete(RefreshToken).where(RefreshToken.token_hash.in_(_OLD_TOKENS)).returning(RefreshToken.session_id)
)
_SWEEP_SESSIONS = Statement(
    delete(Session).where(
        Session.id == any_(bindparam("p_sessions", type_=ARRAY(Uuid()))),
        ~exists().where(RefreshToken.session_id == Session.id),
    )
)
_OLD_MAILS = (
    select(Mail.id)
    .where(Mail.ended_at.is_not(None), Mail.ended_at < bindparam("p_before"))
    .order_by(Mail.ended_at)
    .limit(bindparam("p_limit"))
    .with_for_update(skip_locked=True)
)
_SWEEP_MAILS = Statement(delete(Mail).where(Mail.id.in_(_OLD_MAILS)).returning(Mail.id))
_OLD_EVENTS = (
    select(SecurityEvent.id)
    .where(SecurityEvent.at < bindparam("p_before"))
    .order_by(SecurityEvent.at, SecurityEvent.id)
    .limit(bindparam("p_limit"))
    .with_for_update(skip_locked=True)
)
_SWEEP_EVENTS = Statement(delete(SecurityEvent).where(SecurityEvent.id.in_(_OLD_EVENTS)).returning(SecurityEvent.id))
_OVER = (
    select(SignIn.id)
    .where(SignIn.expires_at < bindparam("p_now"))
    .order_by(SignIn.expires_at)
    .limit(bindparam("p_limit"))
    .with_for_update(skip_locked=True)
)
_SWEEP_SIGN_INS = Statement(delete(SignIn).where(SignIn.id.in_(_OVER)).returning(SignIn.id))


def _ago(*seconds: int) -> datetime:
    """The instant before which the longest of these spans had passed."""
    return clock.now() - timedelta(seconds=max(seconds))


async def sweep_keys(database: Database, *, limit: int = BATCH) -> int:
    """Delete up to `limit` idempotency keys older than `IDEMPOTENCY_KEYS_KEPT` seconds. Answers how many.

    Several processes may run this at once: a row that one of them has is left to it.
    """
    before = _ago(database.settings.idempotency_keys_kept)
    return len(await database.change(lambda tx: _SWEEP_KEYS.rows(tx, p_before=before, p_limit=limit)))


async def sweep_sessions(database: Database, *, limit: int = BATCH) -> int:
    """Delete up to `limit` refresh tokens that ran out `SESSIONS_KEPT` seconds ago. Answers how many.

    A session goes with its last token, and so after its last access token. A used token stays as long as a copy of it
    could do harm: until it would have run out anyway. Processes take turns: each waits for the oldest token's lock, or
    two that hold one token each of a session would both leave it.
    """
    before = _ago(database.settings.sessions_kept, database.settings.jwt_expires_in)

    async def work(tx: Tx) -> int:
        swept = await _SWEEP_TOKENS.rows(tx, p_before=before, p_limit=limit)
        if swept:
            await _SWEEP_SESSIONS.one(tx, p_sessions=list({row["session_id"] for row in swept}))
        return len(swept)

    return await database.change(work)


async def sweep_mails(database: Database, *, limit: int = BATCH) -> int:
    """Delete up to `limit` mails that were sent or given up `MAILS_KEPT` seconds ago. Answers how many.

    A reminder stays until the hold that it spoke of is over, so that it is not said again.
    """
    before = _ago(database.settings.mails_kept, database.settings.hold_reminder_before)
    return len(await database.change(lambda tx: _SWEEP_MAILS.rows(tx, p_before=before, p_limit=limit)))


async def sweep_security_events(database: Database, *, limit: int = BATCH) -> int:
    """Delete up to `limit` sign-ins, refusals and exports older than `SECURITY_EVENTS_KEPT` seconds. Answers how many.

    What happened to deals and accounts (`events`) is never swept (I8).
    """
    before = _ago(database.settings.security_events_kept)
    return len(await database.change(lambda tx: _SWEEP_EVENTS.rows(tx, p_before=before, p_limit=limit)))


async def sweep_sign_ins(database: Database, *, limit: int = BATCH) -> int:
    """Delete up to `limit` sign-ins that went to a provider and were not taken up in time. Answers how many."""
    return len(await database.change(lambda tx: _SWEEP_SIGN_INS.rows(tx, p_now=clock.now(), p_limit=limit)))
