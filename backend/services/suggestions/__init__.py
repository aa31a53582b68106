"""Suggestions of slots in a script: found by a lexicon and rules that are shown, and made into slots."""

from backend.services.suggestions.finding import find_all
from backend.services.suggestions.taking import take

__all__ = ["find_all", "take"]
