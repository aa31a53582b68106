"""Mail: an SMTP server when one is configured, otherwise one file for each message, behind one interface.

Nothing of a message is ever logged: a mail can hold a token.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from backend.core.config import Settings

TIMEOUT = 20.0  # seconds for each step of the talk with the server


class MailNotSent(Exception):
    """The message did not leave. `for_good` says that trying again is in vain. It names a reason, never the message."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class Letter:
    """What is sent: to whom, and the same words as plain text and as HTML. `id` tells a repeat from a new one."""

    id: str
    to_name: str
    to_address: str
    subject: str
    text: str
    html: str


class Mailer(Protocol):
    """What the service asks of a way to send mail."""

    async def send(self, letter: Letter) -> None:
        """Hand the letter over; when this returns it is somebody else's. Raises MailNotSent."""


def message_of(letter: Letter, sender: str) -> EmailMessage:
    """The letter as a MIME message with both forms. Raises MailNotSent for an address that no header takes."""
    name, address = parseaddr(sender)
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = Address(name, addr_spec=address)
        message["To"] = Address(_one_line(letter.to_name), addr_spec=letter.to_address)
        message["Subject"] = _one_line(letter.subject)
    except (ValueError, IndexError, TypeError):
        raise MailNotSent("the address cannot stand in a header", for_good=True) from None
    message["Message-ID"] = f"<{letter.id}@{address.rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def _one_line(text: str) -> str:
    """A name or a title is free text; a header is one line."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:200]


class SmtpMailer(Mailer):
    """A mail server. Each letter is a connection of its own: mails are few, and a kept connection goes stale."""

    def __init__(self, settings: Settings) -> None:
        self._sender = settings.mail_from
        self._options = _server(settings)

    async def send(self, letter: Letter) -> None:
        """Hand the letter to the server. Raises MailNotSent."""
        message = message_of(letter, self._sender)
        try:
            await aiosmtplib.send(message, timeout=TIMEOUT, **self._options)  # type: ignore[arg-type]
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [each.code for each in error.recipients]
            raise MailNotSent(f"recipient refused {codes}", for_good=all(map(_permanent, codes))) from None
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPRecipientRefused) as error:
            raise MailNotSent(f"message refused {error.code}", for_good=_permanent(error.code)) from None
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError, ValueError) as error:
            raise MailNotSent(type(error).__name__) from None


def _permanent(code: int) -> bool:
    return 500 <= code < 600


def _server(settings: Settings) -> dict[str, object]:
    """Where the server is, from `SMTP_URL` or else from the single settings."""
    if settings.smtp_url is not None:
        parts = urlsplit(settings.smtp_url.get_secret_value())
        tls = parts.scheme == "smtps"
        host, port = parts.hostname, parts.port or (465 if tls else settings.smtp_port)
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
    else:
        tls, host, port, username = False, settings.smtp_host, settings.smtp_port, settings.smtp_username
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    return {
        "hostname": host,
        "port": port,
        "username": username,
        "password": password,
        "use_tls": tls,
        "start_tls": settings.smtp_starttls and not tls,
    }


class FolderMailer(Mailer):
    """A folder with one .eml file for each message, readable by its owner alone: a message can hold a token."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, letter: Letter) -> None:
        """Write the file; a repeat replaces it. Raises MailNotSent."""
        content = message_of(letter, self._sender).as_bytes()
        try:
            await asyncio.to_thread(self._write, letter.id, content)
        except OSError as error:
            raise MailNotSent(type(error).__name__) from None

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = self._folder / f".{name}.part"
        with open(unfinished, "wb", opener=_owner_only) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._folder / f"{name}.eml")


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def mailer(settings: Settings) -> Mailer:
    """The way to send mail that the settings ask for."""
    if settings.smtp_url is not None or settings.smtp_host is not None:
        return SmtpMailer(settings)
    return FolderMailer(settings.mails, settings.mail_from)
