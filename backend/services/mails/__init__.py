"""Mails: the outbox is worked off after COMMIT. `writing` finds the words, `sending` claims and sends."""

from backend.integrations.mail import Mailer
from backend.services.mails.sending import send_next

__all__ = ["Mailer", "send_next"]
