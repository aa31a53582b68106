"""Slots: places in a script that are for sale."""

from backend.services.slots.changing import add, create, invite, invitees, patch, remove
from backend.services.slots.listing import find_all
from backend.services.slots.showing import SHAPE, get

__all__ = ["SHAPE", "add", "create", "find_all", "get", "invite", "invitees", "patch", "remove"]
