"""Users, sign-up and sign-in."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, EmailStr, Field, StrictBool, StringConstraints

from backend.core.money import Money
from backend.models.users import Role
from backend.schemas.base import NO_NUL, In, Labels, Out, ShortText, absent


def _bare(value: Any) -> Any:
    """Only the address: pydantic would also take `Ada <ada@example.com>`."""
    if isinstance(value, str) and value.rstrip().endswith(">"):
        raise ValueError("is not a valid email address")
    return value


Email = Annotated[EmailStr, BeforeValidator(_bare), StringConstraints(max_length=320)]


NewPassword = Annotated[
    str,
    StringConstraints(min_length=8, max_length=1024),
    *NO_NUL,
    Field(json_schema_extra={"format": "password"}),
]
Password = Annotated[str, StringConstraints(max_length=1024), Field(json_schema_extra={"format": "password"})]


class SignupRole(StrEnum):
    """The roles one can sign up with; operators are made on the command line."""

    CREATOR = Role.CREATOR.value
    ADVERTISER = Role.ADVERTISER.value
    MERCHANT = Role.MERCHANT.value


class Signup(In):
    """A new account."""

    email: Email
    password: NewPassword
    name: ShortText
    role: SignupRole


class Login(In):
    """Credentials."""

    email: Annotated[str, StringConstraints(max_length=320)]
    password: Password


class PasswordForm(BaseModel):
    """The OAuth2 password form (RFC 6749, 4.3); its names are the standard's, and what it does not know it ignores."""

    grant_type: Literal["password"] = "password"
    username: Annotated[str, StringConstraints(max_length=320), Field(description="The e-mail address.")]
    password: Password
    scope: str = ""
    client_id: str | None = None
    client_secret: str | None = None


OpaqueToken = Annotated[str, StringConstraints(min_length=1, max_length=512), *NO_NUL]


class RefreshIn(In):
    """The refresh token of a session."""

    refresh_token: OpaqueToken


class PasswordChange(In):
    """One's current password and the next."""

    current_password: Password
    new_password: NewPassword


class ForgotPassword(In):
    """The address of the account."""

    email: Email


class ResetPassword(In):
    """The token from the mail, and the password from now on."""

    token: OpaqueToken
    new_password: NewPassword


class VerifyEmail(In):
    """The token from the mail."""

    token: OpaqueToken


class MerchantProfileIn(In):
    """What a merchant asks of placements."""

    min_integration_fee: Money | None
    eligibility_rules: Labels
    allow_matching: StrictBool = absent(
        description="Whether creators are shown those of your SKUs that match their slots. Left out, it stays."
    )


class ProfilePatch(In):
    """What a user may change about themselves."""

    name: ShortText = absent()
    mail_notifications: StrictBool = absent(description="Whether to be told of one's deals by mail.")
    merchant_profile: MerchantProfileIn = absent()


class MerchantProfile(Out):
    """What a merchant asks of placements."""

    min_integration_fee: Decimal | None
    eligibility_rules: list[str]
    allow_matching: bool


class UserOut(Out):
    """An account, as its owner sees it. `emailVerifiedAt` is null until the address is proven."""

    id: UUID
    email: str
    email_verified_at: datetime | None
    name: str
    role: Role
    merchant_profile: MerchantProfile | None
    mail_notifications: bool
    created_at: datetime


class SessionOut(Out):
    """A sign-in: the token for `Authorization: Bearer`, and the one to renew it with."""

    token: str
    refresh_token: str
    expires_in: int
    user: UserOut


class OwnSessionOut(Out):
    """One of the caller's sign-ins that still counts. `current` marks the one that asks."""

    id: UUID
    current: bool
    created_at: datetime
    renewed_at: datetime
    expires_at: datetime


class TokenOut(Out):
    """The OAuth2 password form's answer; its names are the standard's."""

    access_token: str = Field(alias="access_token")
    token_type: str = Field(alias="token_type")
    expires_in: int = Field(alias="expires_in")


class BuyerRole(StrEnum):
    """The roles that buy."""

    ADVERTISER = Role.ADVERTISER.value
    MERCHANT = Role.MERCHANT.value


NamePart = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=2, max_length=200),
    *NO_NUL,
    Field(json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*[^\s\u0000][^\u0000]*$"}),
]


class BuyerOut(Out):
    """A line of the directory to invite from."""

    id: UUID
    name: str
    role: Role
