"""A signed link, as a request carries it: it opens without a header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query

from backend.core import clock
from backend.core.errors import NotSignedIn
from backend.core.tokens import check_link
from backend.dependencies.doors import Door

_OURS = "Of a signed `docLink`."


@dataclass(frozen=True, slots=True)
class Link:
    """What a link says: for whom, until when, and the proof."""

    user: UUID
    expires: int
    signature: str

    def must_hold(self, door: Door, path: str) -> None:
        """Raises NotSignedIn unless the link was signed here for this path and is still current."""
        check_link(door.secret, path, self.user, self.expires, self.signature, clock.now())


async def link(
    user: Annotated[str | None, Query(description=_OURS)] = None,
    expires: Annotated[str | None, Query(description=_OURS)] = None,
    signature: Annotated[str | None, Query(description=_OURS)] = None,
) -> Link | None:
    """The link, or None when the request carries none. One that cannot be read is one that was tampered with: 401."""
    if user is None or expires is None or signature is None:
        return None
    try:
        return Link(UUID(user), int(expires[:20]), signature)
    except ValueError:
        raise NotSignedIn("This link is not valid any more; ask for the project again.", code="invalid_link") from None


Linked = Annotated[Link | None, Depends(link)]
