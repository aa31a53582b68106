"""Mails: what waits in the outbox is sent. Every process may do it at once: each mail is in one hand."""

from __future__ import annotations

from backend.core.database import Database
from backend.services import mails, notifications
from backend.services.mails import Mailer

BATCH = 50


async def send_due(database: Database, mailer: Mailer) -> int:
    """Queue reminders of holds that are about to end, then send up to `BATCH` mails that are due; answers how many.

    Mails that could not be sent stay for a later call, each after a longer wait.
    """
    await database.change(notifications.remind_of_holds)
    for handled in range(BATCH):
        if not await mails.send_next(database, mailer):
            return handled
    return BATCH


async def deliver(database: Database) -> int:
    """`send_due` by the way that the settings ask for."""
    return await send_due(database, mails.mailer(database.settings))
