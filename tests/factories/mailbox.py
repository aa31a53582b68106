"""The mails of a test's service: the outbox worked off into files, and read back."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from backend.core.database import Database
from backend.integrations.mail import mailer
from backend.jobs.mails import send_due

# Every sign-up mails one: they have a tray of their own.
VERIFICATION = "Confirm your e-mail address"


class Mailbox:
    """What reached whom, oldest first."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def delivered(self) -> list[EmailMessage]:
        """Send what is due; every mail so far but the proofs of addresses."""
        return [each for each in await self._all() if each["Subject"] != VERIFICATION]

    async def verifications(self) -> list[EmailMessage]:
        """Send what is due; the mails that prove an address."""
        return [each for each in await self._all() if each["Subject"] == VERIFICATION]

    async def _all(self) -> list[EmailMessage]:
        settings = self.database.settings
        await send_due(self.database, mailer(settings))
        files = sorted(settings.mails.glob("*.eml"))
        return [message_from_bytes(each.read_bytes(), policy=default) for each in files]

    @staticmethod
    def text(mail: EmailMessage, kind: str = "plain") -> str:
        """The mail's words."""
        part = mail.get_body((kind,))
        assert part is not None
        content: str = part.get_content()
        return content

    @classmethod
    def token(cls, mail: EmailMessage) -> str:
        """The token of a reset or of a proof; the plain text and the HTML say the same."""
        found = re.search(r"#token=([\w-]+)", cls.text(mail))
        assert found is not None
        assert found[1] in cls.text(mail, "html")
        return found[1]
