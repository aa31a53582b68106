"""A multipart request as a checked script and its fields."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from backend.core.errors import Invalid, UnsupportedMedia
from backend.core.parsing import parse_json
from backend.core.uploads import Kept, Script, inspect
from backend.dependencies.problems import invalid
from backend.integrations.storage import Files
from backend.schemas.projects import ProjectIn

M = TypeVar("M", bound=BaseModel)

_NUMBERS = {
    "budgetTarget": (Decimal, re.compile(r"-?\d{1,15}(\.\d{1,10})?")),
    "ageStart": (int, re.compile(r"-?\d{1,10}")),
    "ageEnd": (int, re.compile(r"-?\d{1,10}")),
}
_DEMOGRAPHICS = ("ageStart", "ageEnd", "gender")


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[FormData]:
    """The parts of a multipart body, large ones on disk. Raises UnsupportedMedia for another type."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise UnsupportedMedia("This call takes multipart/form-data.")
    async with request.form(max_files=5, max_fields=50, max_part_size=256 * 1024) as form:
        yield form


async def script_of(form: FormData) -> Script:
    """The part `file`, checked in a thread. Raises Invalid, UnsupportedMedia."""
    part = form.get("file")
    if not isinstance(part, UploadFile):
        raise Invalid.field("file", "is required, as a file part")
    return await run_in_threadpool(inspect, part.file, part.filename or "")


def project_of(form: FormData) -> ProjectIn:
    """The project's fields: form fields, or one JSON part `metadata`. Raises Invalid."""
    fields = [(name, value) for name, value in form.multi_items() if name != "file"]
    names = [name for name, _ in fields]
    if len(set(names)) != len(names):
        raise Invalid.field("body", "a field stands twice")
    values: dict[str, Any] = {name: value for name, value in fields if isinstance(value, str)}
    if len(values) != len(fields):
        raise Invalid.field("body", "only `file` is a file part")
    if "metadata" in values:
        if len(values) > 1:
            raise Invalid.field("metadata", "either one part `metadata`, or form fields")
        return _checked(ProjectIn, parse_json(values["metadata"]))
    return _checked(ProjectIn, _nested({name: value for name, value in values.items() if value != ""}))


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    """Form fields have no types and no depth; give them both. Raises Invalid for what is no number."""
    for name, (kind, pattern) in _NUMBERS.items():
        if name in values:
            if pattern.fullmatch(values[name].strip()) is None:
                raise Invalid.field(name, "must be a number")
            values[name] = kind(values[name].strip())
    demographics = {name: values.pop(name) for name in _DEMOGRAPHICS if name in values}
    return {**values, "demographics": demographics} if demographics else values


def _checked(model: type[M], value: Any) -> M:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_url=False)) from None


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
        committed = False
        try:
            yield kept
            committed = kept.adopted
        finally:
            if not committed:
                await self.files.delete(kept.key)


async def shelf(request: Request) -> Shelf:
    """The storage of the application."""
    return Shelf(request.app.state.storage)


Shelved = Annotated[Shelf, Depends(shelf)]
