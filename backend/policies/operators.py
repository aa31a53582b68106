"""What operators may do to accounts."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from backend.core.errors import Conflict, NotFound
from backend.models.users import Role
from backend.policies.users import Actor


def must_see_accounts(actor: Actor) -> None:
    """Raises NotFound for who is no operator: to them no account is there, under whatever id."""
    if actor.role is not Role.OPERATOR:
        raise NotFound


def must_activate(actor: Actor, user_id: UUID, deleted_at: datetime | None, *, is_active: bool) -> None:
    """Raises Conflict: nobody locks themselves out, and an account whose owner left does not come back."""
    if user_id == actor.id and not is_active:
        raise Conflict("You cannot deactivate your own account; another operator can.", code="own_account")
    if deleted_at is not None and is_active:
        raise Conflict("The owner of this account deleted it; it does not come back.", code="user_deleted")
