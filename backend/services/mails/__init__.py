"""Mails: the outbox is worked off after COMMIT. `writing` finds the words, `sending` claims and sends."""

from backend.integrations.mail import Mailer, mailer
from backend.services.mails.sending import send_next

__all__ = ["Mailer", "mailer", "send_next"]
