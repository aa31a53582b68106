"""The two doors to the database, as a request opens them.

The reading door runs a service on a connection in autocommit. The changing door opens one transaction: it signs the
caller in inside it, claims the idempotency key, calls one service function, makes the reply, commits, and only then
answers.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote
from uuid import UUID

from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant

from backend.core import clock
from backend.core.config import Settings
from backend.core.database import Database, Db, Tx
from backend.core.errors import BadRequest, NotSignedIn
from backend.core.proxies import believable, client_address, client_digest
from backend.core.shapes import IfMatch, Reply
from backend.core.tokens import Claims, Links, read_access_token
from backend.dependencies import idempotency
from backend.policies.users import Actor, Admissions, authenticate, authenticate_link

P = ParamSpec("P")
T = TypeVar("T")
Reading = Callable[Concatenate[Db, Actor, P], Awaitable[Reply]]
Changing = Callable[Concatenate[Tx, Actor, P], Awaitable[Reply]]

JSON = "application/json"
_WORTH_PACKING = 16 * 1024  # bytes: from about twenty slots on (decision 73)


def claims_of(request: Request) -> Claims:
    """What the request's token says, read once. Raises NotSignedIn."""
    known: Claims | None = request.scope["state"].get("claims")
    if known is not None:
        return known
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotSignedIn
    app = request.app.state
    claims = read_access_token(token.strip(), app.secret, clock.now())
    request.scope["state"] |= {"claims": claims, "user_id": claims.user_id}
    return claims


def address_of(request: Request) -> str:
    """The address that a request counts under."""
    trusted = request.app.state.settings.trusted_networks
    forwarded = request.headers.getlist("x-forwarded-for")
    state = request.scope["state"]
    told = request.client.host if request.client else None
    peer = state["peer"] if "peer" in state else believable(told, forwarded)  # noted by our own connections
    return client_address(peer, forwarded if trusted else (), trusted)


def needs_sign_in(dependant: Dependant) -> bool:
    """Whether a route asks for the signed-in door."""
    return dependant.call is signed_in or any(needs_sign_in(each) for each in dependant.dependencies)


class Door:
    """The way in for whoever calls, signed in or not. Services that time their own transactions are handed it."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.database: Database = request.app.state.database
        self.settings: Settings = request.app.state.settings
        self.secret: str = request.app.state.secret

    @property
    def links(self) -> Links:
        """What signs links, with the address under which this service was called (or `PUBLIC_URL`)."""
        base = self.settings.public_url or str(self.request.base_url)
        return Links(base.rstrip("/"), self.secret, self.settings.doc_link_expires_in)

    @property
    def client(self) -> str:
        """Where the call comes from, as the record may hold it."""
        return client_digest(self.secret, address_of(self.request))

    async def look(self, work: Callable[[Db], Awaitable[T]]) -> T:
        """Read on a connection in autocommit."""
        async with self.database.reading() as db:
            self._must_be_awaited()
            return await work(db)

    async def change(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Change in one transaction, committed when this returns."""

        async def awaited(tx: Tx) -> T:
            self._must_be_awaited()
            return await work(tx)

        return await self.database.change(awaited)

    def _must_be_awaited(self) -> None:
        """Raises BadRequest when the client left while this waited for its turn: nobody would hear the answer.

        What has begun is finished; `backend/core/connections.py` notes who has left.
        """
        if self.request.scope["state"].get("client_left"):
            raise BadRequest("The client left before its turn came.", code="client_left")

    async def must_be_signed_in(self) -> None:
        """Raises NotSignedIn unless the session counts; once the doors have judged, they are believed."""
        if "actor" not in self.request.scope["state"]:
            claims = claims_of(self.request)
            await self.look(lambda db: authenticate(db, claims, lock=False))

    def admit(self, actor: Actor) -> Actor:
        """Note who is in, for the log and the record."""
        self.request.scope["state"] |= {"user_id": actor.id, "actor": actor}
        return actor


class SignedIn(Door):
    """The two doors for a signed-in caller."""

    def __init__(self, request: Request, key: str | None, if_match: str | None) -> None:
        super().__init__(request)
        self.admissions: Admissions = request.app.state.admissions
        self.claims = claims_of(request)
        self.key = key
        self.if_match = IfMatch(if_match)
        self.digest: bytes | None = None  # set by a route that reads its own body

    async def actor(self, db: Db) -> Actor:
        """Who calls: judged inside the transaction of a change; a read may rest on a moment ago."""
        if isinstance(db, Tx):
            return self.admit(await authenticate(db, self.claims, lock=True))
        return self.admit(await self.admissions.admit(db, self.claims))

    async def read(self, service: Reading[P], *args: P.args, **more: P.kwargs) -> Response:
        """Answer with what a reading service finds."""

        return respond(await self.look_signed_in(service, *args, **more), 200, self.request)

    async def look_signed_in(
        self, service: Callable[Concatenate[Db, Actor, P], Awaitable[T]], *args: P.args, **more: P.kwargs
    ) -> T:
        """What a reading service finds, for a route that makes its own response."""

        async def work(db: Db) -> T:
            return await service(db, await self.actor(db), *args, **more)

        return await self.look(work)

    async def change_signed_in(
        self, service: Callable[Concatenate[Tx, Actor, P], Awaitable[T]], *args: P.args, **more: P.kwargs
    ) -> T:
        """What a changing service answers, once it is committed, for a route that makes its own response."""

        async def work(tx: Tx) -> T:
            return await service(tx, await self.actor(tx), *args, **more)

        return await self.change(work)

    async def do(self, service: Changing[P], *args: P.args, **more: P.kwargs) -> Response:
        """Answer 200 (204 without a body) after a changing service has committed."""
        return await self._change(200, service, *args, **more)

    async def make(self, service: Changing[P], *args: P.args, **more: P.kwargs) -> Response:
        """Answer 201 after a changing service has committed."""
        return await self._change(201, service, *args, **more)

    async def take(self, service: Changing[P], *args: P.args, **more: P.kwargs) -> Response:
        """Answer 202 after a changing service has committed what happens later."""
        return await self._change(202, service, *args, **more)

    async def _change(self, status: int, service: Changing[P], *args: P.args, **more: P.kwargs) -> Response:
        digest = await self._fingerprint() if self.key is not None else b""

        async def work(tx: Tx) -> Response:
            actor = await self.actor(tx)
            key = idempotency.Key(actor.id, self.key, digest) if self.key is not None else None
            if key is not None and (kept := await idempotency.claim(tx, key)) is not None:
                return Response(kept["body"], kept["status"], {**kept["headers"], "Idempotent-Replayed": "true"})
            response = respond(await service(tx, actor, *args, **more), status, self.request)
            if key is not None:
                headers = {name: value for name, value in response.headers.items() if name != "content-length"}
                await idempotency.keep(tx, key, response.status_code, headers, bytes(response.body))
            return response

        return await self.change(work)

    async def _fingerprint(self) -> bytes:
        """The digest of what this request asks: method, path, query and body."""
        assert self.key is not None
        idempotency.must_be_sound(self.key)
        url = self.request.url
        body = self.digest if self.digest is not None else await self.request.body()
        parts = (self.request.method.encode(), url.path.encode(), url.query.encode(), body)
        return hashlib.sha256(b"\n".join(hashlib.sha256(part).digest() for part in parts)).digest()


def respond(reply: Reply, status: int, request: Request) -> Response:
    """A service's reply as a response, with its ETag (304 for a reader who has it) and the link to the next page."""
    if not reply.body:
        return Response(status_code=204, headers={"cache-control": "no-store"})
    headers = {"content-type": JSON, "cache-control": "no-store"}
    if reply.etag is not None:
        headers["etag"] = reply.etag
        if request.method == "GET" and _has(request, reply.etag):
            return Response(status_code=304, headers={"cache-control": "no-store", "etag": reply.etag})
    if reply.next_cursor is not None:
        headers["link"] = f'<{request.scope["path"]}?{_following(request, reply.next_cursor)}>; rel="next"'
    if request.method == "GET" and len(reply.body) >= _WORTH_PACKING:
        headers["vary"] = "Accept-Encoding"
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(gzip.compress(reply.body, compresslevel=1), status, headers)
    return Response(reply.body, status, headers)


def _following(request: Request, cursor: str) -> str:
    """The query of the next page: as it was sent, with another cursor."""
    sent = request.scope["query_string"].decode("latin-1").split("&")
    kept = [each for each in sent if each and not each.startswith("cursor=")]
    return quote("&".join([*kept, f"cursor={cursor}"]), safe="&=%+")


def _has(request: Request, etag: str) -> bool:
    """Whether the reader's `If-None-Match` names this version; a weak name will do (RFC 9110)."""
    tags = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return etag in tags or "*" in tags


async def open_door(request: Request) -> Door:
    """The door of a call that anyone may make."""
    return Door(request)


async def signed_in(request: Request) -> SignedIn:
    """The two doors of a call that needs a signed-in user.

    It reads the headers itself, and `Route` documents it: declared, they would cost as much as reading the row.
    """
    headers = request.headers
    key = headers.get("idempotency-key") if request.method == "POST" else None
    return SignedIn(request, key, headers.get("if-match"))


async def by_link(
    door: Door,
    user_id: UUID,
    service: Callable[Concatenate[Tx, Actor, P], Awaitable[T]],
    *args: P.args,
    **more: P.kwargs,
) -> T:
    """What a changing service answers for the user whom a signed link names, once it is committed."""

    async def work(tx: Tx) -> T:
        return await service(tx, door.admit(await authenticate_link(tx, user_id)), *args, **more)

    return await door.change(work)


OpenDoor = Annotated[Door, Depends(open_door)]
Doors = Annotated[SignedIn, Depends(signed_in)]
