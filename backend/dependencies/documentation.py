"""What the documentation of a call shares with the others: its errors and its headers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from backend.core.problems import MEDIA_TYPE
from backend.schemas.problems import ProblemOut

_MEANINGS = {
    400: "The body is not JSON.",
    401: "Not signed in, or the session has ended.",
    403: "The caller's role may not do this.",
    404: "Not there, or not visible to this caller.",
    409: "The state forbids it; `code` says why.",
    412: "`If-Match` names a version that is no longer current.",
    413: "The body is too large.",
    415: "A media type or file content that this call does not take.",
    422: "The shape is wrong; `errors` lists the fields.",
    429: "Too many requests; `Retry-After` says when to try again.",
    503: "Try again shortly; `Retry-After` says when.",
}
_ALWAYS = (422, 503)
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A key of your own: the same key with the same request gets the same answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` you last read: the change is refused (412) when it is no longer current.",
    "schema": {"type": "string"},
}


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The documented errors of a call: these and the ones every call has (422, 503)."""
    schema = {"$ref": f"#/components/schemas/{ProblemOut.__name__}"}
    return {
        code: {"description": _MEANINGS[code], "content": {MEDIA_TYPE: {"schema": schema}}}
        for code in sorted({*codes, *_ALWAYS})
    }


def headers(*parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    """`openapi_extra` for calls that take these headers."""
    return {"parameters": list(parameters), **more}


OVERVIEW = """\
People who make films and shows sell **placements** in their scripts to advertisers and merchants; the committed spend
finances the production.

Sign up with `POST /api/v1/auth/signup`, then press **Authorize** and sign in with the e-mail address as the user name.
A creator makes a project and slots; a buyer places a bid; both approve the very same terms; the buyer commits.

Errors are problem details (RFC 9457): show `detail` to people, switch on `code` in programs. Lists are plain arrays;
when there is more, follow the `Link` header. Every POST outside `/auth` takes an `Idempotency-Key`.
"""


def install(app: FastAPI) -> None:
    """Let `openapi.json` hold the schema of problem details, and none of the framework's own error shapes."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}", by_alias=True)
            schemas.update(problem.pop("$defs", {}))
            schemas[ProblemOut.__name__] = problem
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def multipart(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` for a multipart body that the route reads itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
