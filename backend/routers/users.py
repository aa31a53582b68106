"""Signing up and in, one's own account, the directory of buyers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Response

from backend.dependencies.documentation import IF_MATCH, headers, problems
from backend.dependencies.doors import Doors, OpenDoor, respond
from backend.dependencies.limits import FORGOT, PASSWORD, RESEND, RESET, SIGN_IN, SIGN_UP, VERIFY_EMAIL, limited
from backend.dependencies.paging import EmptyIsNone, Paged, given
from backend.dependencies.routes import Route
from backend.dependencies.turns import hashing
from backend.schemas.users import (
    BuyerOut,
    BuyerRole,
    ForgotPassword,
    Login,
    NamePart,
    OwnSessionOut,
    PasswordChange,
    PasswordForm,
    ProfilePatch,
    RefreshIn,
    ResetPassword,
    SessionOut,
    Signup,
    TokenOut,
    UserOut,
    VerifyEmail,
)
from backend.services import leaving, own_sessions, passwords, sessions, users, verifications

router = APIRouter(route_class=Route, tags=["Identity"])


@router.post(
    "/auth/signup",
    operation_id="signUp",
    summary="Make an account",
    status_code=201,
    response_model=SessionOut,
    responses=problems(400, 409, 413, 415, 429),
)
@hashing
async def signup(body: Signup, door: OpenDoor) -> Response:
    """Make an account as a Creator, an Advertiser or a Merchant, and sign in with it."""
    async with limited(door, SIGN_UP):
        return respond(await sessions.signup(door, body), 201, door.request)


@router.post(
    "/auth/login",
    operation_id="logIn",
    summary="Sign in",
    response_model=SessionOut,
    responses=problems(400, 401, 413, 415, 429),
)
@hashing
async def login(body: Login, door: OpenDoor) -> Response:
    """Sign in with an e-mail address and a password."""
    async with limited(door, SIGN_IN, body.email):
        return respond(await sessions.login(door, body), 200, door.request)


@router.post(
    "/auth/token",
    operation_id="getToken",
    summary="Sign in with the OAuth2 password form",
    response_model=TokenOut,
    responses=problems(400, 401, 413, 415, 429),
)
@hashing
async def token(form: Annotated[PasswordForm, Form()], door: OpenDoor) -> Response:
    """What the Authorize button of this page calls. `username` is the e-mail address."""
    async with limited(door, SIGN_IN, form.username):
        return respond(await sessions.login_form(door, form.username, form.password), 200, door.request)


@router.post(
    "/auth/refresh",
    operation_id="refreshSession",
    summary="Renew a session",
    response_model=SessionOut,
    responses=problems(400, 401, 413, 415),
)
async def refresh(body: RefreshIn, door: OpenDoor) -> Response:
    """A new pair of tokens. The refresh token is used up; one that comes back later ends its session."""
    return respond(await sessions.refresh(door, body), 200, door.request)


@router.post(
    "/auth/logout",
    operation_id="logOut",
    summary="Sign out",
    status_code=204,
    responses=problems(400, 401, 413, 415),
)
async def logout(body: RefreshIn, door: OpenDoor) -> Response:
    """End the session of this refresh token: its access tokens are refused from the next request on."""
    return respond(await sessions.logout(door, body), 204, door.request)


@router.get(
    "/auth/sessions",
    operation_id="listSessions",
    summary="Your sessions",
    response_model=list[OwnSessionOut],
    responses=problems(401),
)
async def find_sessions(doors: Doors, page: Paged) -> Response:
    """Where you are signed in, newest first; `current` marks this session."""
    return await doors.read(own_sessions.find_all, page)


@router.delete(
    "/auth/sessions/{session_id}",
    operation_id="endSession",
    summary="End one of your sessions",
    status_code=204,
    responses=problems(401, 404),
)
async def end_session(session_id: UUID, doors: Doors) -> Response:
    """The session's tokens are refused from the next request on. Ending the one you use signs you out."""
    return await doors.do(own_sessions.remove, session_id)


@router.post(
    "/auth/forgot-password",
    operation_id="forgotPassword",
    summary="Ask for a way back in",
    status_code=202,
    responses=problems(400, 413, 415, 429),
)
async def forgot_password(body: ForgotPassword, door: OpenDoor) -> Response:
    """Mail a token to set a new password with, good for 30 minutes. The answer is the same for unknown addresses."""
    async with limited(door, FORGOT, body.email):
        return respond(await passwords.forget(door, body), 202, door.request)


@router.post(
    "/auth/reset-password",
    operation_id="resetPassword",
    summary="Set a new password by mail",
    status_code=204,
    responses=problems(400, 413, 415, 429),
)
@hashing
async def reset_password(body: ResetPassword, door: OpenDoor) -> Response:
    """Set a new password with the token from the newest mail. It is good once, and every session ends."""
    async with limited(door, RESET):
        return respond(await passwords.reset(door, body), 204, door.request)


@router.post(
    "/auth/verify-email",
    operation_id="verifyEmail",
    summary="Prove your e-mail address",
    status_code=204,
    responses=problems(400, 413, 415, 429),
)
async def verify_email(body: VerifyEmail, door: OpenDoor) -> Response:
    """Prove the address of an account with the token from the newest mail. It is good once, for a day."""
    async with limited(door, VERIFY_EMAIL):
        return respond(await door.change(lambda tx: verifications.verify(tx, body)), 204, door.request)


@router.post(
    "/auth/verify-email/resend",
    operation_id="resendVerification",
    summary="Ask for a new proof of your address",
    status_code=202,
    responses=problems(401, 429),
)
async def resend_verification(doors: Doors) -> Response:
    """Mail a new link to your address; those from before are no good any more. Nothing is sent once it is proven."""
    async with limited(doors, RESEND, str(doors.claims.user_id)):
        return await doors.take(verifications.resend, doors.secret)


@router.put(
    "/auth/me/password",
    operation_id="changePassword",
    summary="Change your password",
    status_code=204,
    responses=problems(400, 401, 413, 415, 429),
)
@hashing
async def change_password(body: PasswordChange, doors: Doors) -> Response:
    """Change your password; your other sessions end. A wrong current password is a 422 on `currentPassword`."""
    async with limited(doors, PASSWORD, str(doors.claims.user_id)):
        return respond(await passwords.change(doors, body), 204, doors.request)


@router.get(
    "/auth/me",
    operation_id="getMe",
    summary="Your account",
    response_model=UserOut,
    responses=problems(401),
)
async def me(doors: Doors) -> Response:
    """Your own account."""
    return await doors.read(users.me)


@router.patch(
    "/auth/me",
    operation_id="changeMe",
    summary="Change your account",
    response_model=UserOut,
    responses=problems(400, 401, 409, 412, 413, 415),
    openapi_extra=headers(IF_MATCH),
)
async def patch_me(body: ProfilePatch, doors: Doors) -> Response:
    """Change your name, whether you want mails or, as a merchant, what you ask of placements. Fields left out stay."""
    return await doors.do(users.patch_me, body, doors.if_match)


@router.delete(
    "/auth/me",
    operation_id="deleteMe",
    summary="Delete your account",
    status_code=204,
    responses=problems(401, 409, 412),
    openapi_extra=headers(IF_MATCH),
)
async def delete_me(doors: Doors) -> Response:
    """Deactivate your account and remove your name and address from it. Refused while you have live deals."""
    return respond(await leaving.leave(doors, doors.if_match), 204, doors.request)


@router.get(
    "/buyers",
    operation_id="listBuyers",
    summary="The directory to invite from",
    response_model=list[BuyerOut],
    responses=problems(401, 403),
)
async def buyers(
    doors: Doors,
    page: Paged,
    q: Annotated[
        NamePart | None, EmptyIsNone, Query(description="Words of the name, the last may be a beginning.")
    ] = None,
    role: Annotated[BuyerRole | None, EmptyIsNone, Query(description="Only this role.")] = None,
) -> Response:
    """Active advertisers and merchants, newest first."""
    return await doors.read(users.buyers, given(q=q, role=role), page)
