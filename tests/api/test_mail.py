"""Mail: what is told to whom, how it leaves, and what happens when it cannot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any, TypeAlias

import asyncpg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr, ValidationError

from backend.core.config import Settings
from backend.core.database import Database
from backend.integrations.mail import FolderMailer, Letter, MailNotSent, SmtpMailer, mailer
from backend.jobs.mails import send_due
from tests.factories.mailbox import Mailbox
from tests.factories.refusals import fields
from tests.factories.world import World, ok

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # the peer's, on loopback
Sql: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
LETTER = Letter("0199a3c0-0000-7000-8000-000000000001", "Ada", "ada@example.com", "Hello", "Plain\n", "<p>Rich</p>")


async def calm(world: World) -> None:
    """Take what signing up has mailed out of the outbox."""
    async with world.database.reading() as db:
        await db.fetch("DELETE FROM mails WHERE kind = 'email_verification'")


class Post:
    """A mailer in memory that can be told to fail."""

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.failure: MailNotSent | None = None

    async def send(self, letter: Letter) -> None:
        if self.failure is not None:
            raise self.failure
        self.letters.append(letter)


class Peer:
    """What an SMTP server on loopback received."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.answer = "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            self.envelopes.append(envelope)
        return self.answer


def allow(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    known = (data.login, data.password) == (b"backdrop", b"s3cret/word")
    return AuthResult(success=known, handled=known)  # what is not handled here, the server itself refuses (535)


@pytest.fixture
async def peer() -> AsyncIterator[tuple[Peer, int]]:
    """An SMTP server that asks for a password."""
    peer = Peer()
    controller = Controller(
        peer, hostname="127.0.0.1", port=0, authenticator=allow, auth_require_tls=False, auth_required=True
    )
    # Port 0 lets the system choose, which the controller's own readiness check does not know: serve it here.
    server = await asyncio.get_running_loop().create_server(controller.factory, "127.0.0.1", 0)
    yield peer, server.sockets[0].getsockname()[1]
    server.close()
    controller.loop.close()  # its own, which it makes and leaves open
    await server.wait_closed()


def to_server(settings: Settings, **more: Any) -> Settings:
    return settings.model_copy(update={"smtp_starttls": False, "mail_from": "BackDrop <mail@backdrop.example>", **more})


# What is told to whom.


def told(mails: list[EmailMessage]) -> list[tuple[str, str]]:
    return [(str(mail["To"]).split(" <")[0].strip('"'), str(mail["Subject"])) for mail in mails]


async def test_each_side_is_told_what_it_waits_for(world: World, mailbox: Mailbox) -> None:
    cleo, ada = await world.creator(name="Cleo"), await world.advertiser(name="Ada")
    slot = await world.slot(cleo, sceneRef="Scene 12")
    bid = await world.bid(ada, slot)
    ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 1800}))
    await world.approve(cleo, bid)
    await world.approve(ada, bid)
    await world.approve(ada, bid)  # a repeat tells nothing
    commitment = ok(await ada.post(f"/bids/{bid['id']}/commit"))
    ok(await cleo.post(f"/commitments/{commitment['id']}/deliver", {"note": "There"}))
    mails = await mailbox.delivered()
    assert told(mails) == [
        ("Cleo", "A new bid on Scene 12"),
        ("Ada", "New terms for Scene 12"),
        ("Ada", "Cleo approved Scene 12"),
        ("Cleo", "Ada approved Scene 12"),
        ("Cleo", "Ada committed USD 1,800.00"),
        ("Ada", "Delivered: Scene 12"),
    ]
    for mail in mails:
        assert "Night Train" in mailbox.text(mail)
        assert "Night Train" in mailbox.text(mail, "html")
        assert "Hello " in mailbox.text(mail)
    assert "Confirm or reject it by " in mailbox.text(mails[-1])
    assert await mailbox.delivered() != []
    assert len(await mailbox.delivered()) == 6, "each is sent once"


async def test_a_refused_change_tells_nothing(world: World, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    slot = await world.slot(cleo)
    await ada.post(f"/slots/{slot['id']}/bids", {"amount": 1, "objective": "x"})
    assert await sql.fetchval("SELECT count(*) FROM mails WHERE kind <> 'email_verification'") == 0


async def test_the_outbox_holds_ids_only(world: World, sql: Sql) -> None:
    cleo, ada = await world.creator(name="Cleo"), await world.advertiser(name="Ada")
    bid = await world.bid(ada, await world.slot(cleo))
    row = await sql.fetchrow(
        "SELECT recipient_id::text, kind, ids::json->>'bid_id' AS bid, status FROM mails ORDER BY id DESC"
    )
    assert row is not None
    assert tuple(row) == (cleo.id, "bid_placed", bid["id"], "Queued")


async def test_names_and_titles_are_text_in_html_and_in_headers(world: World, mailbox: Mailbox) -> None:
    cleo = await world.creator()
    ada = await world.advertiser(name='<b>Ada</b> & "Söhne" <x@y.z>, 愛')
    slot = await world.slot(cleo, sceneRef="Scene <i>1</i>\r\nBcc: all@example.com")
    bid = await world.bid(ada, slot)
    ok(await cleo.post(f"/bids/{bid['id']}/terms", {"baseVersion": 1, "amount": 1800}))
    placed, changed = await mailbox.delivered()
    assert placed["Bcc"] is None
    assert placed["Subject"] == "A new bid on Scene <i>1</i> Bcc: all@example.com"
    html = mailbox.text(placed, "html")
    assert "<b>Ada" not in html
    assert "&lt;b&gt;Ada&lt;/b&gt; &amp;" in html
    assert "<i>" not in html
    assert changed["To"].addresses[0].addr_spec == "advertiser2@example.com"
    assert "愛" in changed["To"].addresses[0].display_name


async def test_mails_can_be_switched_off_but_for_the_way_back_in(world: World, mailbox: Mailbox, sql: Sql) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    await calm(world)
    changed = ok(await cleo.patch("/auth/me", {"mailNotifications": False}))
    assert changed == {**(cleo.user or {}), "mailNotifications": False}
    assert ok(await cleo.get("/auth/me"))["mailNotifications"] is False
    await world.bid(ada, await world.slot(cleo))
    ok(await world.nobody.post("/auth/forgot-password", {"email": "creator1@example.com"}))
    [mail] = await mailbox.delivered()
    assert mail["Subject"] == "Set a new password"
    assert {row["status"] for row in await sql.fetch("SELECT status FROM mails")} == {"Dropped", "Sent"}
    ok(await cleo.patch("/auth/me", {"mailNotifications": True}))
    await world.bid(ada, await world.slot(cleo))
    assert len(await mailbox.delivered()) == 2


@pytest.mark.parametrize("value", [None, "no", 0, 1, "true", []])
async def test_the_switch_is_true_or_false(world: World, value: Any) -> None:
    ada = await world.advertiser()
    assert fields(await ada.patch("/auth/me", {"mailNotifications": value})) == {"mailNotifications"}


# A hold about to end.


async def test_who_can_keep_a_hold_is_reminded_once_of_its_end(world: World, mailbox: Mailbox) -> None:
    cleo, ada = await world.creator(name="Cleo"), await world.advertiser(name="Ada")
    bid = await world.bid(ada, await world.slot(cleo, modality="PG/Reservation", sceneRef="S"))
    await world.approve(cleo, bid)
    world.advance(days=1, hours=23)
    ending = ("Ada", "The hold on S ends soon")
    assert ending not in told(await mailbox.delivered())
    world.advance(hours=2)
    for _ in range(2):
        assert told(await mailbox.delivered()).count(ending) == 1
    ada = await world.log_in("advertiser2@example.com")
    ok(await ada.post(f"/bids/{bid['id']}/approve"))
    world.advance(days=6, hours=1)
    mails = await mailbox.delivered()
    assert told(mails).count(ending) == 2, "the commit deadline is another end"
    assert "Commit the spend by" in mailbox.text(mails[-1])


async def test_a_hold_that_has_ended_reminds_nobody(world: World, mailbox: Mailbox) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    await world.bid(ada, await world.slot(cleo, modality="PG/Reservation", sceneRef="S"))
    world.advance(days=4)
    assert [subject for _, subject in told(await mailbox.delivered())] == ["A new bid on S"]


# How it leaves.


async def one_mail(world: World) -> None:
    await world.bid(await world.advertiser(), await world.slot(await world.creator()))
    await calm(world)


async def test_a_mail_that_cannot_leave_is_tried_again_and_given_up_in_the_end(
    world: World, database: Database, sql: Sql
) -> None:
    await one_mail(world)
    post = Post()
    post.failure = MailNotSent("SMTPConnectError")
    assert await send_due(database, post) == 0
    post.failure = None
    assert await send_due(database, post) == 0, "not before its time"
    world.advance(minutes=2)
    assert await send_due(database, post) == 1
    assert len(post.letters) == 1
    await one_mail(world)
    post.failure = MailNotSent("SMTPConnectError")
    tries = 0
    while await sql.fetchval("SELECT count(*) FROM mails WHERE status = 'Queued'"):
        await send_due(database, post)
        world.advance(days=1)
        tries += 1
    assert tries == 8
    rows = await sql.fetch("SELECT status, tries FROM mails ORDER BY id")
    assert [tuple(row) for row in rows] == [("Sent", 2), ("Failed", 8)]


async def test_a_refusal_for_good_is_not_tried_again(world: World, database: Database, sql: Sql) -> None:
    await one_mail(world)
    post = Post()
    post.failure = MailNotSent("recipient refused", for_good=True)
    await send_due(database, post)
    assert await sql.fetchval("SELECT status FROM mails") == "Failed"


async def test_a_process_that_dies_while_sending_loses_nothing(world: World, database: Database, sql: Sql) -> None:
    await one_mail(world)

    class Dies(Post):
        async def send(self, letter: Letter) -> None:
            raise SystemExit

    with pytest.raises(SystemExit):
        await send_due(database, Dies())
    world.advance(minutes=2)
    post = Post()
    await send_due(database, post)
    assert len(post.letters) == 1


async def test_several_processes_send_each_mail_once(world: World, database: Database) -> None:
    cleo, ada = await world.creator(), await world.advertiser()
    await calm(world)
    project = await world.project(cleo)
    for _ in range(12):
        await world.bid(ada, await world.slot(cleo, project))
    post = Post()
    await asyncio.gather(*(send_due(database, post) for _ in range(4)))
    assert len(post.letters) == len({letter.id for letter in post.letters}) == 12


async def test_without_a_server_each_mail_is_a_file_of_its_owners_alone(world: World, settings: Settings) -> None:
    way = mailer(settings)
    assert isinstance(way, FolderMailer)
    await way.send(LETTER)
    await way.send(LETTER)
    [file] = settings.mails.iterdir()
    assert file.name == f"{LETTER.id}.eml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert settings.mails.stat().st_mode & 0o777 == 0o700


async def test_with_a_server_it_is_handed_over(settings: Settings, peer: tuple[Peer, int]) -> None:
    server, port = peer
    for more in (
        {"smtp_url": SecretStr(f"smtp://backdrop:s3cret%2Fword@127.0.0.1:{port}")},
        {
            "smtp_host": "127.0.0.1",
            "smtp_port": port,
            "smtp_username": "backdrop",
            "smtp_password": SecretStr("s3cret/word"),
        },
    ):
        way = mailer(to_server(settings, **more))
        assert isinstance(way, SmtpMailer)
        await way.send(LETTER)
    first, _ = server.envelopes
    assert (first.mail_from, first.rcpt_tos) == ("mail@backdrop.example", ["ada@example.com"])
    content = first.content
    assert isinstance(content, bytes)
    assert b"Message-ID: <0199a3c0-0000-7000-8000-000000000001@backdrop.example>" in content
    assert b"Plain" in content
    assert b"<p>Rich</p>" in content


@pytest.mark.parametrize(("answer", "for_good"), [("451 later", False), ("550 no such user", True)])
async def test_a_servers_refusal_says_whether_to_try_again(
    settings: Settings, peer: tuple[Peer, int], answer: str, for_good: bool
) -> None:
    server, port = peer
    server.answer = answer
    way = mailer(to_server(settings, smtp_url=SecretStr(f"smtp://backdrop:s3cret%2Fword@127.0.0.1:{port}")))
    with pytest.raises(MailNotSent) as refusal:
        await way.send(LETTER)
    assert refusal.value.for_good is for_good


@pytest.mark.parametrize("url", ["smtp://backdrop:wrong@127.0.0.1:{port}", "smtp://127.0.0.1:1"])
async def test_no_server_and_no_admission_are_tried_again_and_name_no_secret(
    settings: Settings, peer: tuple[Peer, int], url: str
) -> None:
    way = mailer(to_server(settings, smtp_url=SecretStr(url.format(port=peer[1]))))
    with pytest.raises(MailNotSent) as refusal:
        await way.send(LETTER)
    assert not refusal.value.for_good
    assert "wrong" not in str(refusal.value)


async def test_starttls_is_insisted_on_unless_switched_off(settings: Settings, peer: tuple[Peer, int]) -> None:
    server, port = peer
    url = SecretStr(f"smtp://backdrop:s3cret%2Fword@127.0.0.1:{port}")
    with pytest.raises(MailNotSent):
        await mailer(to_server(settings, smtp_url=url, smtp_starttls=True)).send(LETTER)
    assert server.envelopes == []


@pytest.mark.parametrize("url", ["http://host", "smtp://", "host:25", "smtp:///x"])
def test_an_address_that_is_no_mail_servers_is_refused_at_start(url: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings(_env_file=None, smtp_url=SecretStr(url))
    assert "smtp_url" in str(refusal.value)
    assert not re.search(r"input_value", str(refusal.value))
