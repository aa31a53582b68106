"""Drafts of a script, and what a new one did to the scenes of the one before it, and to whoever names them."""

from backend.services.drafts.comparing import diff, find_all
from backend.services.drafts.finishing import finish

__all__ = ["diff", "find_all", "finish"]
