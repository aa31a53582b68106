"""Problem details, as every error is answered (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class FieldError(BaseModel):
    """What is wrong with one field; never the rejected value."""

    model_config = ConfigDict(extra="allow")

    field: str
    message: str


class ProblemOut(BaseModel):
    """An error. `code` is stable for programs, `detail` is one sentence for a person."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: list[FieldError] | None = None
    current_status: str | None = None
    allowed_actions: list[str] | None = None
