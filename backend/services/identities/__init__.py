"""Identities: signing in by the word of Google or GitHub.

`crossing` is the way there and back, `accounts` who it is here.
"""

from backend.services.identities.accounts import find_all, remove
from backend.services.identities.crossing import come_back, finish, start

__all__ = ["come_back", "find_all", "finish", "remove", "start"]
