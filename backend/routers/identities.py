"""Signing in with Google and GitHub, and one's own identities there."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse

from backend.dependencies.crossings import AtProvider, Ways
from backend.dependencies.documentation import moved, problems
from backend.dependencies.doors import Doors, OpenDoor, respond
from backend.dependencies.limits import OAUTH, limited
from backend.dependencies.paging import Paged
from backend.dependencies.routes import Route
from backend.models.identities import Provider
from backend.models.users import Role
from backend.schemas.identities import Challenge, IdentityOut, ProviderCode, ProviderOut, State, TakeSignIn
from backend.schemas.users import SessionOut, SignupRole
from backend.services import identities

router = APIRouter(route_class=Route, tags=["Identity"])


@router.get(
    "/auth/oauth/providers",
    operation_id="listProviders",
    summary="Where one can sign in with",
    response_model=list[ProviderOut],
    responses=problems(),
)
async def providers(ways: Ways) -> list[ProviderOut]:
    """Google, GitHub, both or none: what this installation is configured for."""
    return [ProviderOut(name=Provider(way.name), title=way.title) for way in ways.values()]


@router.post(
    "/auth/oauth/token",
    operation_id="takeSignIn",
    summary="Take up a sign-in that came back",
    response_model=SessionOut,
    responses=problems(400, 403, 409, 413, 415, 429),
)
async def take(body: TakeSignIn, door: OpenDoor, ways: Ways) -> Response:
    """Trade the code from `FRONTEND_URL/oauth#code=…` in for a session.

    Only who made the challenge of the sign-in has its verifier. A code is good once, whatever comes of it: a 409 says
    in `detail` what to do before starting again. A new account is made when the sign-in named a role.
    """
    async with limited(door, OAUTH):
        return respond(await identities.finish(door, ways, body), 200, door.request)


@router.get(
    "/auth/oauth/{provider}",
    operation_id="startSignIn",
    summary="Sign in with a provider",
    status_code=303,
    response_class=RedirectResponse,
    responses={**moved("The provider's page. A cookie remembers this browser."), **problems(404, 429)},
)
async def start(
    door: AtProvider,
    challenge: Annotated[Challenge, Query(description="SHA-256 of the verifier that you keep, in base64url.")],
    role: Annotated[SignupRole | None, Query(description="The role of a new account, should there be none.")] = None,
) -> Response:
    """Open this in the browser itself, not by `fetch`: it leads to the provider, and from there to the callback."""
    async with limited(door, OAUTH):
        wanted = Role(role.value) if role is not None else None
        started = await identities.start(door, door.way, door.redirect_uri, challenge, wanted)
        return door.leave(started.address, started.browser)


@router.get(
    "/auth/oauth/{provider}/callback",
    operation_id="comeBack",
    summary="Come back from a provider",
    status_code=303,
    response_class=RedirectResponse,
    responses={**moved("The frontend, with a code that is good once."), **problems(404, 429)},
)
async def callback(
    door: AtProvider,
    state: State,
    code: ProviderCode | None = None,
    error: Annotated[str | None, Query(description="Why the provider did not sign in.")] = None,
) -> Response:
    """Where a provider sends the browser: only the one that left with this state is sent on to the frontend, once."""
    async with limited(door, OAUTH):
        given = code if error is None else None
        return door.arrive(await identities.come_back(door, door.way, door.browser, state, given))


@router.get(
    "/auth/identities",
    operation_id="listIdentities",
    summary="Your other ways to sign in",
    response_model=list[IdentityOut],
    responses=problems(401),
)
async def find_identities(doors: Doors, page: Paged) -> Response:
    """Which providers your account is linked to, newest first."""
    return await doors.read(identities.find_all, page)


@router.delete(
    "/auth/identities/{identity_id}",
    operation_id="unlinkIdentity",
    summary="Unlink a way to sign in",
    status_code=204,
    responses=problems(401, 404),
)
async def unlink(identity_id: UUID, doors: Doors) -> Response:
    """The provider signs you in no more. An account without a password gets one by `POST /auth/forgot-password`."""
    return await doors.do(identities.remove, identity_id)
