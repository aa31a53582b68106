"""Mails: what waits in the outbox is sent. The worker calls this every few seconds; several processes may."""

from __future__ import annotations

from backend.core.database import Database
from backend.services import mails, notifications
from backend.services.mails import Mailer


async def send_due(database: Database, mailer: Mailer) -> int:
    """Queue reminders of holds that are about to end, then send every mail that is due. Answers how many were handled.

    Mails that could not be sent stay for a later call, each after a longer wait.
    """
    await database.change(notifications.remind_of_holds)
    handled = 0
    while await mails.send_next(database, mailer):
        handled += 1
    return handled
