"""The one tree of errors: services raise them, one handler turns them into problem details (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID


class Problem(Exception):
    """An answer that is not a success.

    `detail` is one sentence for a person, `code` is stable snake_case for a program, `extra` joins the body
    and `headers` the response. Nothing in it may hold a secret or a rejected value. `about` is the account that was
    meant, for the record alone: it never leaves with the answer.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        about: UUID | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.about = about
        self.detail = detail
        self.code = code or self.default_code
        self.headers = dict(headers or {})
        self.extra = extra


class BadRequest(Problem):
    """400: the request cannot be read at all."""

    status = 400
    title = "Bad request"
    default_code = "bad_request"


class NotSignedIn(Problem):
    """401: no token, or one that does not count."""

    status = 401
    title = "Not signed in"
    default_code = "not_signed_in"

    def __init__(self, detail: str = "Sign in and send the token as 'Authorization: Bearer …'.", **more: Any) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"}, **more)


class Forbidden(Problem):
    """403: the caller's role may not do this."""

    status = 403
    title = "Not allowed"
    default_code = "forbidden"


class NotFound(Problem):
    """404: not there, or not visible to this caller; the two are never told apart."""

    status = 404
    title = "Not found"
    default_code = "not_found"

    def __init__(self, detail: str = "There is nothing here that you may see.", **more: Any) -> None:
        super().__init__(detail, **more)


class Conflict(Problem):
    """409: the state forbids it."""

    status = 409
    title = "Conflict"
    default_code = "conflict"


class StaleVersion(Problem):
    """412: `If-Match` names a version that is no longer current."""

    status = 412
    title = "Changed meanwhile"
    default_code = "stale_version"


class TooSlow(Problem):
    """408: the body does not come."""

    status = 408
    title = "Too slow"
    default_code = "too_slow"

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(detail, headers={"Connection": "close"}, **more)


class TooLarge(Problem):
    """413: more bytes than the route takes."""

    status = 413
    title = "Too large"
    default_code = "too_large"


class UriTooLong(Problem):
    """414: an address of more bytes than any call needs."""

    status = 414
    title = "Address too long"
    default_code = "uri_too_long"


class HeadersTooLarge(Problem):
    """431: more header bytes, or lines, than any call needs."""

    status = 431
    title = "Headers too large"
    default_code = "headers_too_large"


class UnsupportedMedia(Problem):
    """415: a media type or file content that the route does not take."""

    status = 415
    title = "Unsupported media type"
    default_code = "unsupported_media_type"


class Invalid(Problem):
    """422: the shape is wrong. `errors` lists `{field, message}` and never the rejected value."""

    status = 422
    title = "Invalid input"
    default_code = "invalid"

    def __init__(self, detail: str, errors: Sequence[Mapping[str, Any]] = (), **more: Any) -> None:
        super().__init__(detail, errors=list(errors), **more)

    @classmethod
    def field(cls, field: str, message: str, *, code: str | None = None) -> Invalid:
        """The error of a single field."""
        return cls(f"{field}: {message}", [{"field": field, "message": message}], code=code)


class TooMany(Problem):
    """429: too many requests."""

    status = 429
    title = "Too many requests"
    default_code = "too_many_requests"


class Unavailable(Problem):
    """503: try again shortly."""

    status = 503
    title = "Try again"
    default_code = "unavailable"

    def __init__(self, detail: str = "The service cannot answer right now; try again shortly.", **more: Any) -> None:
        super().__init__(detail, headers={"Retry-After": "1"}, **more)
