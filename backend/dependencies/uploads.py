"""A multipart request as a checked script and its fields."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any, BinaryIO, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from backend.core.errors import BadRequest, Invalid, Unavailable, UnsupportedMedia
from backend.core.parsing import parse_json
from backend.core.uploads import Kept, Script, inspect
from backend.dependencies.problems import invalid
from backend.integrations.storage import Files
from backend.schemas.projects import ProjectIn

M = TypeVar("M", bound=BaseModel)

_NUMBERS = {
    "budgetTarget": (Decimal, re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,10})?")),
    "ageStart": (int, re.compile(r"-?[0-9]{1,10}")),
    "ageEnd": (int, re.compile(r"-?[0-9]{1,10}")),
}
_DEMOGRAPHICS = ("ageStart", "ageEnd", "gender")
_MOST_TEXT = 256 * 1024


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[FormData]:
    """The parts of a multipart body, large ones on disk. Raises UnsupportedMedia for another type."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMedia("This call takes multipart/form-data.")
    async with request.form(max_files=5, max_fields=50, max_part_size=_MOST_TEXT) as form:
        yield form


def file_of(form: FormData, *names: str) -> UploadFile:
    """The one file part, under one of these names. Raises Invalid."""
    found = [part for name, part in form.multi_items() if name in names]
    if len(found) != 1 or not isinstance(found[0], UploadFile):
        raise Invalid.field(names[0], "is required, as one file part")
    return found[0]


def must_hold_only(form: FormData, *names: str) -> None:
    """Raises Invalid for a part of any other name."""
    if unknown := sorted(set(form) - set(names)):
        errors = [{"field": name[:100], "message": "is not a field of this call"} for name in unknown]
        raise Invalid(f"{errors[0]['field']}: is not a field of this call.", errors)


async def script_of(form: FormData) -> Script:
    """The part `file`, checked in a thread. Raises Invalid, UnsupportedMedia."""
    part = file_of(form, "file")
    return await run_in_threadpool(inspect, part.file, part.filename or "")


async def draft_of(form: FormData) -> Script:
    """The part `file` of a body that has no other. Raises Invalid, UnsupportedMedia."""
    must_hold_only(form, "file")
    return await script_of(form)


async def project_of(form: FormData) -> ProjectIn:
    """The project's fields: form fields, or one JSON part `metadata`. Raises Invalid, BadRequest.

    A field that a browser's form left empty is none.
    """
    fields = [(name, value) for name, value in form.multi_items() if name != "file" and value != ""]
    names = [name for name, _ in fields]
    if len(set(names)) != len(names):
        raise Invalid.field("body", "a field stands twice")
    if "metadata" in names:
        if len(names) > 1:
            raise Invalid.field("metadata", "either one part `metadata`, or form fields")
        return _checked(ProjectIn, parse_json(await _text_of(fields[0][1])))
    values = {name: value for name, value in fields if isinstance(value, str)}
    if len(values) != len(fields):
        raise Invalid.field("body", "only `file` and `metadata` may be file parts")
    return _checked(ProjectIn, _nested(values))


async def _text_of(part: UploadFile | str) -> str:
    """A JSON part as text: browsers send a blob as a file part. Raises Invalid, BadRequest."""
    if isinstance(part, str):
        return part
    content = await part.read(_MOST_TEXT + 1)
    if len(content) > _MOST_TEXT:
        raise Invalid.field("metadata", f"has more than {_MOST_TEXT} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("The part `metadata` is not UTF-8.", code="malformed_json") from None


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """Form fields have no types and no depth; give them both. Raises Invalid for what is no number."""
    for name, (kind, pattern) in _NUMBERS.items():
        if name in values:
            if pattern.fullmatch(values[name].strip()) is None:
                raise Invalid.field(name, "must be a number")
            values[name] = kind(values[name].strip())
    if "demographics" in values:
        raise Invalid.field("demographics", "is not a field of a form: send ageStart, ageEnd and gender")
    demographics = {name: values.pop(name) for name in _DEMOGRAPHICS if name in values}
    return {**values, "demographics": demographics} if demographics else values


def _checked(model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_url=False)) from None


async def catalogue_of(form: FormData) -> tuple[BinaryIO, bytes]:
    """The one part, `file` or `csv`, with its digest. Raises Invalid."""
    must_hold_only(form, "file", "csv")
    content = file_of(form, "file", "csv").file
    return content, await run_in_threadpool(_sha256, content)


def _sha256(content: BinaryIO) -> bytes:
    content.seek(0)
    return hashlib.file_digest(content, "sha256").digest()  # type: ignore[arg-type] # reads, that is all it needs


def digest_of(script: Script, *fields: BaseModel) -> bytes:
    """What a multipart request asks, whatever its boundary."""
    parts = [script.sha256, script.file_name.encode(), *(field.model_dump_json().encode() for field in fields)]
    return hashlib.sha256(b"\n".join(hashlib.sha256(part).digest() for part in parts)).digest()


class Shelf:
    """The storage, as a request uses it."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @asynccontextmanager
    async def kept(self, script: Script) -> AsyncIterator[Kept]:
        """The script in storage while a change decides; it is forgotten unless the change adopts it and commits."""
        kept = Kept(script, await self.files.put(script.content))
        stays = False
        try:
            yield kept
            stays = kept.adopted
        except Unavailable as error:
            # The connection broke: whether the COMMIT went through is not known, and a file too many does no harm.
            stays = kept.adopted and error.code == "database_unavailable"
            raise
        finally:
            if not stays:
                await self.files.delete(kept.key)


async def shelf(request: Request) -> Shelf:
    """The storage of the application."""
    return Shelf(request.app.state.storage)


Shelved = Annotated[Shelf, Depends(shelf)]
