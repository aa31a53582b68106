"""What the documentation of a call shares with the others: its errors, its headers, its examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from backend.core import errors
from backend.core.errors import Problem
from backend.core.problems import MEDIA_TYPE, body_of
from backend.schemas.examples import CALLS, FIELDS, FILES, Call, example_of
from backend.schemas.problems import ProblemOut

Json = dict[str, Any]

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
_EXAMPLES: dict[int, Problem] = {
    400: errors.BadRequest(_MEANINGS[400], code="malformed_json"),
    401: errors.NotSignedIn(),
    403: errors.Forbidden("Only buyers place bids.", code="wrong_role"),
    404: errors.NotFound(),
    409: errors.Conflict(
        "Another bid holds this slot.", code="slot_locked", currentStatus="Pending", allowedActions=["decline"]
    ),
    412: errors.StaleVersion("This has changed since you read it; read it again and repeat your change."),
    413: errors.TooLarge("The body is larger than this call takes."),
    415: errors.UnsupportedMedia("This call takes application/json."),
    422: errors.Invalid.field("amount", "Input should be greater than 0"),
    429: errors.TooMany("Too many requests; try again in a minute.", headers={"Retry-After": "60"}),
    503: errors.Unavailable(),
}
_ALWAYS = (422, 503)
_SUCCESS = {
    "200": "The answer.",
    "201": "Made; this is the new thing.",
    "202": "Taken; it happens in the background.",
    "204": "Done; there is no body.",
}
IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A key of your own: the same key with the same request gets the same answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
}
IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` you last read: the change is refused (412) when it is no longer current.",
    "schema": {"type": "string"},
}
_SCHEMES: Json = {
    "OAuth2PasswordBearer": {
        "type": "oauth2",
        "description": "Sign in with an e-mail address and a password.",
        "flows": {"password": {"scopes": {}, "tokenUrl": "/api/v1/auth/token"}},
    }
}
SIGNED_IN: list[Json] = [{name: []} for name in _SCHEMES]
_IF_NONE_MATCH: Json = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The `ETag` you have: while it is the current one, the answer is 304 without a body.",
    "schema": {"type": "string"},
}
_HEADERS: dict[str, tuple[str, str]] = {
    "X-Request-ID": ("The request's id, as the log has it. A plain one of your own is kept.", FIELDS["requestId"]),
    "ETag": ("The version of this representation, for `If-Match`.", '"3f2a9c4be01d77aa5c0e91b2"'),
    "Link": ('The next page, when there is one (RFC 8288), with `rel="next"`.', '</api/v1/slots?cursor=…>; rel="next"'),
    "Idempotent-Replayed": ("`true` when the answer is the one that this `Idempotency-Key` got before.", "true"),
    "Retry-After": ("Seconds to wait before the next try.", "1"),
    "X-RateLimit-Limit": ("How many calls this limit allows at once.", "5"),
    "X-RateLimit-Remaining": ("How many of them are left now.", "0"),
    "X-RateLimit-Reset": ("Seconds until all of them are back.", "60"),
    "WWW-Authenticate": ("How to sign in.", "Bearer"),
}
_TAGS = {
    "Identity": "Accounts, signing in and out, the directory of buyers.",
    "Projects": "A script with its financing frame.",
    "Scripts": "The scenes of a script, what they suggest, and what a new draft did to them.",
    "Slots": "The places in a script that can be sold, once each.",
    "SKUs": "A merchant's products, offered for placement.",
    "Matches": "Slots that fit a SKU and SKUs that fit a slot, with the reasons.",
    "Deals": "Bids, the talk about them, terms, approvals, the commitment.",
    "Commitments": "The binding spend, from promise to placement.",
    "Operations": "What operators see and do.",
    "Service": "Health and self-description.",
}


def problems(*codes: int) -> dict[int | str, Json]:
    """The documented errors of a call: these and the ones every call has (422, 503)."""
    schema = {"$ref": f"#/components/schemas/{ProblemOut.__name__}"}
    return {
        code: {"description": _MEANINGS[code], "content": {MEDIA_TYPE: {"schema": schema}}}
        for code in sorted({*codes, *_ALWAYS})
    }


def moved(where: str) -> dict[int | str, Json]:
    """The documented answer of a call that sends the browser somewhere else."""
    location = {"description": where, "schema": {"type": "string", "format": "uri"}}
    return {303: {"description": where, "headers": {"Location": location}}}


def headers(*parameters: Json, **more: Any) -> Json:
    """`openapi_extra` for calls that take these headers."""
    return {"parameters": list(parameters), **more}


def multipart(model: type[BaseModel]) -> Json:
    """`openapi_extra` for a multipart body that the route reads itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


OVERVIEW = """\
People who make films and shows sell **placements** in their scripts to advertisers and merchants; the committed spend
finances the production.

Sign up with `POST /api/v1/auth/signup`, then press **Authorize** and sign in with the e-mail address as the user name.
The examples succeed as printed in the demo (`scripts/run --demo`): each call says for which of its accounts. The
password of all is `backdrop-demo`.

A creator makes a project and slots; a buyer places a bid; both approve the very same terms; the buyer commits.

Errors are problem details (RFC 9457): show `detail` to people, switch on `code` in programs. Lists are plain arrays;
when there is more, follow the `Link` header. Every POST outside `/auth` takes an `Idempotency-Key`.
"""


def install(app: FastAPI) -> None:
    """Let `openapi.json` hold what every call shares, said once: problem details, headers and examples."""
    plain = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(plain())
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: Json) -> Json:
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = ProblemOut.model_json_schema(ref_template="#/components/schemas/{model}", by_alias=True)
    schemas.update(problem.pop("$defs", {}))
    schemas[ProblemOut.__name__] = problem
    document["components"]["securitySchemes"] = _SCHEMES
    document["components"]["headers"] = {
        name: {"description": text, "schema": {"type": "string"}, "example": example}
        for name, (text, example) in _HEADERS.items()
    }
    document["components"]["responses"] = {
        type(each).__name__: _problem_response(status) for status, each in _EXAMPLES.items()
    }
    operations = list(_operations(document))
    tags = {tag for operation in operations for tag in operation.get("tags", ())}
    document["tags"] = [{"name": tag, "description": text} for tag, text in _TAGS.items() if tag in tags]
    versioned = _versioned(operations)
    for operation in operations:
        _say_what_empty_means(operation)
        _complete_operation(operation, schemas, versioned)
        _tell_example(operation, schemas, CALLS.get(operation["operationId"], Call()))
    for path in document["paths"].values():
        if "ETag" in path.get("get", {}).get("responses", {}).get("200", {}).get("headers", {}):
            _let_be_known(path["get"])
    return document


def _say_what_empty_means(operation: Json) -> None:
    """An empty filter value is the same as none."""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query" and {"type": "null"} in parameter["schema"].get("anyOf", ()):
            parameter["allowEmptyValue"] = True


def _let_be_known(operation: Json) -> None:
    """A read with an ETag answers a reader who has that version with the version alone."""
    operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
    operation["responses"]["304"] = {
        "description": "You have it: this is the version of your `If-None-Match`.",
        "headers": _referred(["X-Request-ID", "ETag"]),
    }


def _operations(document: Json) -> Iterator[Json]:
    for path in document["paths"].values():
        yield from path.values()


def _success(operation: Json) -> tuple[str, Json]:
    """The status and response of a call's success."""
    return next((status, each) for status, each in operation["responses"].items() if status[0] in "23")


def _answer_schema(response: Json) -> Json:
    schema: Json = response.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _takes(operation: Json, name: str) -> bool:
    return any(each["name"] == name for each in operation.get("parameters", ()))


def _versioned(operations: list[Json]) -> set[str]:
    """The schemas whose representations carry an ETag: those that some call changes under `If-Match`."""
    answers = (_answer_schema(_success(each)[1]) for each in operations if _takes(each, "If-Match"))
    return {schema["$ref"] for schema in answers if "$ref" in schema}


def _problem_response(status: int) -> Json:
    names = ["X-Request-ID"]
    names += ["WWW-Authenticate"] if status == 401 else []
    names += ["Retry-After"] if status in (429, 503) else []
    names += [name for name in _HEADERS if name.startswith("X-RateLimit-")] if status == 429 else []
    response: Json = problems(status)[status]
    response["headers"] = _referred(names)
    response["content"][MEDIA_TYPE]["example"] = body_of(_EXAMPLES[status], FIELDS["requestId"])
    return response


def _referred(names: list[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _complete_operation(operation: Json, schemas: Mapping[str, Json], versioned: set[str]) -> None:
    """Give one call the examples of its answers, its headers, and its errors by reference."""
    for code, response in operation["responses"].items():
        if response.get("description") == _MEANINGS.get(int(code)):
            operation["responses"][code] = {"$ref": f"#/components/responses/{type(_EXAMPLES[int(code)]).__name__}"}
            continue
        if response["description"] == "Successful Response":
            response["description"] = _SUCCESS.get(code, "The answer.")
        names = ["X-Request-ID"]
        if code.startswith("2"):
            names += _success_headers(operation, _answer_schema(response), versioned)
        response["headers"] = {**response.get("headers", {}), **_referred(names)}
        for kind, media in response.get("content", {}).items():
            if kind == "application/json":
                media.setdefault("example", example_of(media["schema"], schemas))


def _tell_example(operation: Json, schemas: Mapping[str, Json], call: Call) -> None:
    """Give one call an example that succeeds as printed in the demo, and say who sends it."""
    values = {**FIELDS, **call.path}
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path" and parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]
        if parameter["name"] == "Idempotency-Key":  # one for all would be refused by the second call that is tried
            parameter["example"] = f"{operation['operationId']}-1"
    for kind, media in operation.get("requestBody", {}).get("content", {}).items():
        media["example"] = {**_body_example(media["schema"], schemas), **call.body}
        if kind != "application/json":
            _fill_in(media["schema"], schemas, media["example"])
    if call.by is not None:
        operation["description"] += f"\n\nIn the demo, the example is for `{call.by.email}`."


def _fill_in(schema: Json, schemas: Mapping[str, Json], example: Json) -> None:
    """Say a form's example field by field as well: Swagger UI fills in a form from there, and from nowhere else."""
    form = schemas[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
    for name, each in form["properties"].items():
        if name not in FILES:
            each["example"] = example.get(name, "")


def _success_headers(operation: Json, schema: Json, versioned: set[str]) -> list[str]:
    names = ["ETag"] if schema.get("$ref") in versioned else []
    names += ["Link"] if _takes(operation, "cursor") else []
    names += ["Idempotent-Replayed"] if _takes(operation, "Idempotency-Key") else []
    return names


def _body_example(schema: Json, schemas: Mapping[str, Json]) -> Any:
    """The example of a body, which may also be none at all."""
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    return example_of(options[0] if options else schema, schemas, owner=schema.get("title", ""))
