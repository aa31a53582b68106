"""Writing: the words of a mail, from its ids and the state of things when it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from asyncpg import Record
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from sqlalchemy import and_, bindparam, select
from sqlalchemy.orm import aliased

from backend.core import clock
from backend.core.database import Db
from backend.core.money import written_out
from backend.core.statements import Statement
from backend.core.tokens import derive_secret, hash_secret
from backend.core.version import NAME
from backend.integrations.mail import Letter
from backend.models.bids import Bid, BidStatus
from backend.models.commitments import Commitment, CommitmentStatus
from backend.models.mails import MailKind
from backend.models.projects import Project
from backend.models.scenes import SceneStatus
from backend.models.slots import Slot
from backend.models.terms import Terms
from backend.models.users import EmailVerification, PasswordReset, User
from backend.policies import bids as policy

# What the tokens in mails are derived for; they stand in no table.
RESET, VERIFICATION = "password-reset", "email-verification"

_RECIPIENT = Statement(
    select(User.name, User.email, User.is_active, User.mail_notifications).where(User.id == bindparam("p_user"))
)
_RESET = Statement(
    select(PasswordReset.token_hash).where(
        PasswordReset.id == bindparam("p_reset"), PasswordReset.expires_at > bindparam("p_now")
    )
)
_VERIFICATION = Statement(
    select(EmailVerification.token_hash).where(
        EmailVerification.id == bindparam("p_verification"), EmailVerification.expires_at > bindparam("p_now")
    )
)
_buyer, _creator = aliased(User), aliased(User)
_DEAL = Statement(
    select(
        Bid.buyer_id,
        policy.EFFECTIVE_STATUS.label("status"),
        policy.HOLDS_NOW.label("holds"),
        Bid.scene_status,
        Terms.amount,
        Slot.scene_ref,
        Slot.hold_expires_at,
        Project.title,
        _buyer.name.label("buyer_name"),
        _creator.name.label("creator_name"),
        Commitment.deliver_by,
        Commitment.confirm_by,
    )
    .join(Slot, Slot.id == Bid.slot_id)
    .join(Project, Project.id == Slot.project_id)
    .join(Terms, and_(Terms.bid_id == Bid.id, Terms.version == Bid.terms_version))
    .join(_buyer, _buyer.id == Bid.buyer_id)
    .join(_creator, _creator.id == Bid.creator_id)
    .outerjoin(Commitment, and_(Commitment.bid_id == Bid.id, Commitment.status != CommitmentStatus.CANCELLED.value))
    .where(Bid.id == bindparam("p_bid"))
)


@lru_cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = _moment
    return environment


def _moment(value: datetime) -> str:
    return f"{value:%-d %B %Y, %H:%M} UTC"


async def letter(db: Db, mail_id: UUID, kind: MailKind, recipient_id: UUID, ids: Mapping[str, str]) -> Letter | None:
    """The mail in words; None when it is not wanted any more: switched off, an inactive user, a matter that is over."""
    person = await _RECIPIENT.one(db, p_user=recipient_id)
    if person is None or not person["is_active"]:
        return None
    if kind is MailKind.PASSWORD_RESET:
        words = await _about_reset(db, UUID(ids["reset_id"]))
    elif kind is MailKind.EMAIL_VERIFICATION:
        words = await _about_verification(db, UUID(ids["verification_id"]))
    else:
        words = await _about_deal(db, kind, UUID(ids["bid_id"]), recipient_id) if person["mail_notifications"] else None
    if words is None:
        return None
    words |= {"product": NAME, "name": person["name"], "frontend": db.settings.frontend_url.rstrip("/")}
    words = {key: " ".join(value.split()) if isinstance(value, str) else value for key, value in words.items()}
    subject, _, text = _templates().get_template(f"{kind.value}.txt").render(words).partition("\n")
    html = _templates().get_template(f"{kind.value}.html").render(words)
    return Letter(str(mail_id), person["name"], person["email"], subject, text.lstrip("\n"), html)


async def _about_reset(db: Db, reset_id: UUID) -> dict[str, Any] | None:
    """The token is made again from the id; it stands in no table. None once it is used, replaced or out of date."""
    token = derive_secret(db.settings.signing_secret(), RESET, reset_id)
    kept = await _RESET.value(db, p_reset=reset_id, p_now=clock.now())
    if kept != hash_secret(token):
        return None
    return {"token": token, "minutes": db.settings.password_reset_expires_in // 60}


async def _about_verification(db: Db, verification_id: UUID) -> dict[str, Any] | None:
    """The same for the proof of an address."""
    token = derive_secret(db.settings.signing_secret(), VERIFICATION, verification_id)
    kept = await _VERIFICATION.value(db, p_verification=verification_id, p_now=clock.now())
    if kept != hash_secret(token):
        return None
    return {"token": token, "hours": db.settings.email_verification_expires_in // 3600}


async def _about_deal(db: Db, kind: MailKind, bid_id: UUID, recipient_id: UUID) -> dict[str, Any] | None:
    deal = await _DEAL.one(db, p_bid=bid_id, p_now=clock.now())
    if deal is None or (kind is MailKind.HOLD_ENDING and not deal["holds"]):
        return None
    if kind is MailKind.SCENE_FLAGGED and not _is_flagged(deal):
        return None
    to_buyer = recipient_id == deal["buyer_id"]
    return {
        **deal,
        "to_buyer": to_buyer,
        "other": deal["creator_name"] if to_buyer else deal["buyer_name"],
        "amount": written_out(deal["amount"], db.settings.currency),
    }


def _is_flagged(deal: Record) -> bool:
    """Whether there is still something to tell: the scene is not back, no other was offered, the deal goes on."""
    return bool(deal["scene_status"] != SceneStatus.CURRENT.value and deal["status"] != BidStatus.DECLINED.value)
