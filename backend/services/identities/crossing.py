"""Crossing: a browser goes to a provider and comes back; a frontend then takes up the sign-in (decision 0088).

Three secrets tie the steps together: the state goes through the provider, the browser's stays in its cookie, the
frontend's own never leaves it until the end. What only the provider is asked (nonce, PKCE verifier) is derived from
the sign-in's id and stands in no table.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from asyncpg import Record
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import bindparam, delete, insert, update

from backend.core import clock
from backend.core.database import Tx
from backend.core.errors import Conflict, Invalid, Unavailable
from backend.core.ids import new_id
from backend.core.shapes import Reply
from backend.core.statements import Statement, binds
from backend.core.tokens import derive_secret, hash_secret, make_secret
from backend.integrations.oauth import Asked, Claimed, Provider, ProviderDown, ProviderRefused
from backend.models.identities import SignIn
from backend.models.users import Role
from backend.schemas.identities import TakeSignIn
from backend.services import sessions
from backend.services.identities import accounts
from backend.services.sessions import Door

log = structlog.get_logger("backdrop.oauth")

_START = Statement(
    insert(SignIn).values(
        **binds("id", "provider", "state_hash", "browser_hash", "challenge", "role", "redirect_uri", "expires_at")
    )
)
_COME_BACK = Statement(
    update(SignIn)
    .where(
        SignIn.state_hash == bindparam("p_state"),
        SignIn.browser_hash == bindparam("p_browser"),
        SignIn.provider == bindparam("p_provider"),
        SignIn.returned_at.is_(None),
        SignIn.expires_at > bindparam("p_now"),
    )
    .values(returned_at=bindparam("p_now"), **binds("code", "ticket_hash"))
    .returning(SignIn.id)
)
_TAKE = Statement(
    delete(SignIn)
    .where(SignIn.ticket_hash == bindparam("p_ticket"), SignIn.expires_at > bindparam("p_now"))
    .returning(SignIn.id, SignIn.provider, SignIn.challenge, SignIn.role, SignIn.redirect_uri, SignIn.code)
)


@dataclass(frozen=True, slots=True)
class Started:
    """Where to send the browser, and what it has to bring back in its cookie."""

    address: str
    browser: str


async def start(door: Door, provider: Provider, redirect_uri: str, challenge: str, role: Role | None) -> Started:
    """A sign-in begins in this browser, with the frontend's challenge and the role that a new account would have."""
    sign_in_id = new_id()
    (state, state_hash), (browser, browser_hash) = make_secret(), make_secret()
    expires = clock.now() + timedelta(seconds=door.settings.oauth_expires_in)

    async def work(tx: Tx) -> None:
        await _START.one(
            tx,
            p_id=sign_in_id,
            p_provider=provider.name,
            p_state_hash=state_hash,
            p_browser_hash=browser_hash,
            p_challenge=challenge,
            p_role=role.value if role is not None else None,
            p_redirect_uri=redirect_uri,
            p_expires_at=expires,
        )

    await door.change(work)
    return Started(provider.address(_asked(door.secret, sign_in_id, redirect_uri), state), browser)


def _asked(secret: str, sign_in_id: UUID, redirect_uri: str) -> Asked:
    nonce, verifier = (derive_secret(secret, f"oauth-{purpose}", sign_in_id) for purpose in ("nonce", "verifier"))
    return Asked(redirect_uri, nonce, verifier)


async def come_back(door: Door, provider: Provider, browser: str | None, state: str, code: str | None) -> str:
    """The same browser is back, once, by the same provider, with a code or without: the frontend's address to go on to.

    Raises Invalid `invalid_state`; the sign-in of another browser is left as it is.
    """
    ticket, ticket_hash = make_secret()

    async def work(tx: Tx) -> bool:
        found = await _COME_BACK.one(
            tx,
            p_state=hash_secret(state),
            p_browser=hash_secret(browser or ""),
            p_provider=provider.name,
            p_now=clock.now(),
            p_code=code,
            p_ticket_hash=ticket_hash,
        )
        return found is not None

    if not await door.change(work):
        raise Invalid.field(
            "state", "is of no sign-in that was started in this browser; start again", code="invalid_state"
        )
    return f"{door.settings.frontend_url.rstrip('/')}/oauth#code={ticket}"


async def finish(door: Door, providers: Mapping[str, Provider], body: TakeSignIn) -> Reply:
    """A session for whom the provider vouches for. The code is good once, whatever comes of it.

    Raises Invalid `invalid_sign_in_code`, Conflict, Forbidden, Unavailable.
    """
    ticket = hash_secret(body.code)
    taken = await door.change(lambda tx: _TAKE.one(tx, p_ticket=ticket, p_now=clock.now()))
    provider = providers.get(taken["provider"]) if taken is not None else None
    if taken is None or provider is None or not _is_answered(taken["challenge"], body.verifier):
        raise Invalid.field("code", "is of no sign-in that waits for you; start again", code="invalid_sign_in_code")
    claimed = await _identify(provider, _asked(door.secret, taken["id"], taken["redirect_uri"]), taken)
    role = Role(taken["role"]) if taken["role"] is not None else None

    async def work(tx: Tx) -> Reply:
        return await sessions.open_session(tx, door, await accounts.whose(tx, provider, claimed, role))

    return await door.change(work)


def _is_answered(challenge: str, verifier: str) -> bool:
    return hmac.compare_digest(create_s256_code_challenge(verifier).encode(), challenge.encode())


async def _identify(provider: Provider, asked: Asked, taken: Record) -> Claimed:
    """Ask the provider, outside any transaction. Raises Conflict `provider_refused`, Unavailable."""
    refusal = Conflict(f"{provider.title} did not sign you in; start again.", code="provider_refused")
    if taken["code"] is None:
        raise refusal
    try:
        return await provider.identify(asked, taken["code"])
    except ProviderRefused as error:
        log.warning("sign-in refused", provider=provider.name, reason=str(error))
        raise refusal from None
    except ProviderDown as error:
        log.warning("provider down", provider=provider.name, reason=str(error))
        raise Unavailable(
            f"{provider.title} does not answer right now; start again shortly.", code="provider_unavailable"
        ) from None
