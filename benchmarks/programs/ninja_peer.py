"""A peer: Django Ninja on Django's ORM, asynchronous where Django is, the list of slots alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import django
import jwt
import msgspec
from django.conf import settings

SECRET = os.environ["JWT_SECRET"]
_url = urlsplit(os.environ["DATABASE_URL"])
_host = parse_qs(_url.query)
settings.configure(
    SECRET_KEY=SECRET,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    INSTALLED_APPS=[],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _url.path.lstrip("/"),
            "USER": _url.username or "",
            "PASSWORD": unquote(_url.password or ""),
            "HOST": _host.get("host", [_url.hostname or ""])[0],
            "PORT": _host.get("port", [str(_url.port or 5432)])[0],
            "OPTIONS": {"pool": {"min_size": 2, "max_size": int(os.environ.get("DB_POOL_SIZE", "10"))}},
        }
    },
)
django.setup()

from django.contrib.postgres.fields import ArrayField  # noqa: E402 Django wants its settings first
from django.core.asgi import get_asgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.db.models import Exists, OuterRef, Q  # noqa: E402
from django.http import HttpRequest  # noqa: E402
from django.urls import path  # noqa: E402
from ninja import NinjaAPI, Schema  # noqa: E402
from ninja.renderers import BaseRenderer  # noqa: E402
from ninja.security import HttpBearer  # noqa: E402
from pydantic import ConfigDict  # noqa: E402
from pydantic.alias_generators import to_camel  # noqa: E402


def _table(name: str) -> type:
    return type("Meta", (), {"app_label": "peer", "managed": False, "db_table": name})


class User(models.Model):
    id = models.UUIDField(primary_key=True)
    is_active = models.BooleanField()
    Meta = _table("users")


class Session(models.Model):
    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(User, models.DO_NOTHING)
    ended_at = models.DateTimeField(null=True)
    Meta = _table("sessions")


class Project(models.Model):
    id = models.UUIDField(primary_key=True)
    title = models.TextField()
    genre = models.TextField(null=True)
    production_window = models.TextField()
    age_start = models.IntegerField(null=True)
    age_end = models.IntegerField(null=True)
    gender = models.TextField()
    Meta = _table("projects")

    @property
    def demographics(self) -> Project:
        """The audience, as the answer nests it."""
        return self


class Slot(models.Model):
    id = models.UUIDField(primary_key=True)
    project = models.ForeignKey(Project, models.DO_NOTHING)
    creator = models.ForeignKey(User, models.DO_NOTHING)
    scene_ref = models.TextField()
    scene_id = models.UUIDField(null=True)
    scene_status = models.TextField(null=True)
    description = models.TextField(null=True)
    type = models.TextField()
    pricing_floor = models.DecimalField(max_digits=14, decimal_places=2)
    modality = models.TextField()
    visibility = models.TextField()
    status = models.TextField()
    constraints = ArrayField(models.TextField())
    excluded_categories = ArrayField(models.TextField())
    bidding_closes_at = models.DateTimeField(null=True)
    genre = models.TextField(null=True)
    hold_expires_at = models.DateTimeField(null=True)
    completes_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)
    Meta = _table("slots")


class SlotInvitee(models.Model):
    slot = models.OneToOneField(Slot, models.DO_NOTHING, primary_key=True)
    user = models.ForeignKey(User, models.DO_NOTHING)
    Meta = _table("slot_invitees")


class Bid(models.Model):
    id = models.UUIDField(primary_key=True)
    slot = models.ForeignKey(Slot, models.DO_NOTHING)
    buyer = models.ForeignKey(User, models.DO_NOTHING)
    Meta = _table("bids")


class Out(Schema):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class Demographics(Out):
    age_start: int | None
    age_end: int | None
    gender: str


class ProjectOut(Out):
    id: UUID
    title: str
    genre: str | None
    production_window: str
    demographics: Demographics


class SlotOut(Out):
    id: UUID
    project_id: UUID
    creator_id: UUID
    scene_ref: str
    scene_id: UUID | None
    scene_status: str | None
    description: str | None
    type: str
    pricing_floor: float
    modality: str
    status: str
    visibility: str
    constraints: list[str]
    excluded_categories: list[str]
    bidding_closes_at: datetime | None
    project: ProjectOut
    created_at: datetime
    updated_at: datetime


class Bearer(HttpBearer):
    """The user of the token."""

    async def authenticate(self, request: HttpRequest, token: str) -> UUID | None:  # noqa: ARG002 Ninja's signature
        """Their id, while the session counts."""
        try:
            payload = jwt.decode(token, SECRET, algorithms=["HS256"], audience="backdrop-api", issuer="backdrop")
        except jwt.PyJWTError:
            return None
        session = await Session.objects.select_related("user").filter(id=UUID(payload["sid"])).afirst()
        if session is None or session.ended_at is not None or not session.user.is_active:
            return None
        found: UUID = session.user_id
        return found


class Renderer(BaseRenderer):
    """A quicker renderer than the standard one, as Ninja's own documentation advises."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:  # noqa: ARG002 Ninja's signature
        """The bytes."""
        return msgspec.json.encode(data)


api = NinjaAPI(auth=Bearer(), renderer=Renderer(), docs_url=None, openapi_url=None)


@api.get("/slots", response=list[SlotOut], by_alias=True)
async def list_slots(request: HttpRequest, genre: str, minPrice: Decimal, limit: int = 1000) -> list[Any]:  # noqa: N803
    """Slots a buyer may see."""
    user: Any = request.auth  # type: ignore[attr-defined]
    invited = Exists(SlotInvitee.objects.filter(slot_id=OuterRef("id"), user_id=user))
    bid_on = Exists(Bid.objects.filter(slot_id=OuterRef("id"), buyer_id=user))
    query = (
        Slot.objects.select_related("project")
        .filter(Q(visibility="Public") | invited | bid_on, removed_at=None, creator__is_active=True)
        .filter(genre__iexact=genre, pricing_floor__gte=minPrice)
        .order_by("-created_at", "-id")[:limit]
    )
    now = datetime.now(UTC)
    found = [slot async for slot in query]
    for slot in found:
        if slot.hold_expires_at is not None and slot.hold_expires_at <= now:
            slot.status = "Available"
        elif slot.completes_at is not None and slot.completes_at <= now:
            slot.status = "Completed"
    return found


urlpatterns = [path("api/v1/", api.urls)]
app = get_asgi_application()
