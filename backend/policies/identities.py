"""Whom a provider's word lets in, and which account it may be linked to (decision 0089)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from backend.core.errors import Conflict, Forbidden
from backend.models.users import Role


@dataclass(frozen=True, slots=True)
class Account:
    """What counts of an account here: `linked` when it has an identity at this provider already."""

    id: UUID
    role: Role
    is_active: bool
    email_verified: bool
    linked: bool


def must_let_in(account: Account) -> None:
    """Raises Forbidden for an account that nobody signs in to by another's word."""
    if not account.is_active:
        raise Forbidden("This account is deactivated.", code="account_inactive", about=account.id)
    if account.role is Role.OPERATOR:
        raise Forbidden("Operators sign in with their password.", code="operator_needs_password", about=account.id)


def must_link(account: Account, provider: str) -> None:
    """Raises Forbidden, Conflict unless an identity with this account's address, verified there, may be tied to it."""
    must_let_in(account)
    if not account.email_verified:
        raise Conflict(
            "There is an account with this e-mail address, and the address is not confirmed here yet. Sign in with"
            f" your password, confirm the address by the link in our mail, then sign in with {provider} again.",
            code="address_not_confirmed",
            about=account.id,
        )
    if account.linked:
        raise Conflict(
            f"Another {provider} account is linked to the account with this e-mail address. Sign in as before,"
            f" unlink it, then sign in with {provider} again.",
            code="another_identity_linked",
            about=account.id,
        )


def must_be_addressed(email: str | None, provider: str) -> str:
    """The address that the provider has verified. Raises Conflict when there is none."""
    if email is None:
        raise Conflict(
            f"{provider} has not verified your e-mail address. Verify it there, then sign in again.",
            code="address_not_verified_there",
        )
    return email


def must_have_role(role: Role | None) -> Role:
    """The role that a new account is to have. Raises Conflict when the sign-in was started without one."""
    if role is None:
        raise Conflict(
            "There is no account with this e-mail address yet. Say which role you want one for, and start again.",
            code="role_needed",
        )
    return role
