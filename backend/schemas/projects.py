"""Projects."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_validator
from pydantic.alias_generators import to_camel

from backend.core.money import Money
from backend.models.projects import Gender
from backend.models.scenes import ScriptStatus
from backend.schemas.base import In, Label, Out, ShortText, Text, absent

Age = Annotated[StrictInt, Field(ge=0, le=120)]


class DemographicsIn(In):
    """Whom the production speaks to."""

    age_start: Age | None = None
    age_end: Age | None = None
    gender: Gender = Gender.ANY

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.age_start is not None and self.age_end is not None and self.age_start > self.age_end:
            raise ValueError("ageStart must not be above ageEnd")
        return self


class ProjectIn(In):
    """A new project, beside its script file."""

    title: ShortText
    genre: Label | None = None
    logline: Text | None = None
    budget_target: Money
    production_window: Text
    demographics: DemographicsIn = DemographicsIn()


class DemographicsPatch(In):
    """What may change about the demographics."""

    age_start: Age | None = absent()
    age_end: Age | None = absent()
    gender: Gender = absent()


class ProjectPatch(In):
    """What may change about a project."""

    title: ShortText = absent()
    genre: Label | None = absent()
    logline: Text | None = absent()
    budget_target: Money = absent()
    production_window: Text = absent()
    demographics: DemographicsPatch = absent()


class Demographics(Out):
    """Whom the production speaks to."""

    age_start: int | None
    age_end: int | None
    gender: Gender


class ProjectOut(Out):
    """A project. A buyer sees no script link and no committed amount."""

    id: UUID
    creator_id: UUID
    title: str
    genre: str | None
    logline: str | None
    doc_link: str | None
    budget_target: Decimal
    committed_amount: Decimal | None
    production_window: str
    demographics: Demographics
    script_status: ScriptStatus
    script_status_reason: str | None
    created_at: datetime
    updated_at: datetime


class ScriptForm(BaseModel):
    """The multipart body of a new draft (documentation only: the parts are streamed)."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    file: Annotated[str, Field(json_schema_extra={"format": "binary"}, description="A .pdf, .fountain or .fdx file.")]


class ProjectForm(ScriptForm):
    """The multipart body of a new project (documentation only: the parts are streamed).

    It is one flat form, since a page draws its form from it; that a title, a budget and a window are required unless
    there is `metadata` stands in the call's description.
    """

    title: ShortText = absent()
    genre: Label = absent()
    logline: Text = absent()
    budget_target: Money = absent()
    production_window: Text = absent()
    age_start: Age = absent()
    age_end: Age = absent()
    gender: Gender = absent()
    metadata: str = absent(
        description="Instead of the other fields: the same keys as JSON.",
        json_schema_extra={"contentMediaType": "application/json"},
    )
