"""Sending: claim one mail, send it outside any transaction, write what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import bindparam, select, update

from backend.core import clock
from backend.core.database import Database, Tx
from backend.core.statements import Statement, binds
from backend.integrations.mail import Letter, Mailer, MailNotSent
from backend.models.mails import Mail, MailKind, MailStatus
from backend.services.mails import writing

log = structlog.get_logger("backdrop.mail")

# When to try again after each try; after the last one the mail has failed. A try that dies with its process counts.
WAITS = tuple(timedelta(minutes=each) for each in (2, 5, 15, 60, 3 * 60, 6 * 60, 12 * 60, 24 * 60))
LONGEST_TRY = 10.0  # seconds: far less than the first wait, so that no mail is in two hands, and a stop waits for it

_CLAIM = Statement(
    select(Mail.id, Mail.recipient_id, Mail.kind, Mail.ids, Mail.tries)
    .where(Mail.status == MailStatus.QUEUED.value, Mail.due_at <= bindparam("p_now"))
    .order_by(Mail.due_at, Mail.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_POSTPONE = Statement(update(Mail).where(Mail.id == bindparam("p_id")).values(**binds("tries", "due_at")))
_END = Statement(
    update(Mail)
    .where(Mail.id == bindparam("p_id"), Mail.status == MailStatus.QUEUED.value)
    .values(**binds("status", "ended_at"))
)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A mail in our hands; without a letter nobody needs it any more, or it has been tried too often."""

    id: UUID
    kind: MailKind
    tries: int
    letter: Letter | None


async def send_next(database: Database, mailer: Mailer) -> bool:
    """Send the mail that has been due longest; answers whether it is worth to go on with the next.

    It is not when nothing is due, nor when the way out seems closed: then each further try would only take its time.

    Each mail is sent at least once: a process that dies between sending and writing so leaves it to be sent again,
    under the same Message-ID.
    """
    claimed = await database.change(_claim)
    if claimed is None:
        return False
    if claimed.letter is None:
        # Usual, and by the dozen after the demo was filled: its outbox tells.
        log.debug("mail dropped", mail_id=str(claimed.id), kind=claimed.kind.value)
        return True
    outcome = await _try(mailer, claimed, claimed.letter)
    if outcome is None:
        return False
    await database.change(lambda tx: _end(tx, claimed.id, outcome))
    return True


async def _claim(tx: Tx) -> _Claimed | None:
    now = clock.now()
    row = await _CLAIM.one(tx, p_now=now)
    if row is None:
        return None
    kind = MailKind(row["kind"])
    letter = await writing.letter(tx, row["id"], kind, row["recipient_id"], row["ids"])
    if letter is None or row["tries"] >= len(WAITS):
        await _end(tx, row["id"], MailStatus.DROPPED if letter is None else MailStatus.FAILED)
        return _Claimed(row["id"], kind, row["tries"], None)
    await _POSTPONE.one(tx, p_id=row["id"], p_tries=row["tries"] + 1, p_due_at=now + WAITS[row["tries"]])
    return _Claimed(row["id"], kind, row["tries"] + 1, letter)


async def _try(mailer: Mailer, claimed: _Claimed, letter: Letter) -> MailStatus | None:
    """What became of it; None when it is to be tried again. The log names the mail, never what it says."""
    about = {"mail_id": str(claimed.id), "kind": claimed.kind.value, "tries": claimed.tries}
    try:
        async with asyncio.timeout(LONGEST_TRY):
            await mailer.send(letter)
    except (MailNotSent, TimeoutError) as error:
        last = claimed.tries == len(WAITS) or (isinstance(error, MailNotSent) and error.for_good)
        reason = error.reason if isinstance(error, MailNotSent) else "timeout"
        log.warning("mail failed" if last else "mail not sent yet", reason=reason, **about)
        return MailStatus.FAILED if last else None
    log.info("mail sent", **about)
    return MailStatus.SENT


async def _end(tx: Tx, mail_id: UUID, status: MailStatus) -> None:
    await _END.one(tx, p_id=mail_id, p_status=status.value, p_ended_at=clock.now())
