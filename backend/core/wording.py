"""How times and people's words stand on a printed page."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def moment(at: datetime) -> str:
    """`20 November 2026, 09:05 UTC`, whatever the machine's language."""
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


# Latin, Greek and Cyrillic letters, between which no line breaks; never before a combining mark.
_LONG_WORD = re.compile("[!-~\u00a1-\u052f]{24}(?=[!-~\u00a1-\u02ff\u0370-\u0482\u048a-\u052f]{8})")


def breakable(words: Any) -> Any:
    """Text with places to break inside words that no line could hold; None stays None."""
    return None if words is None else _LONG_WORD.sub(lambda found: found[0] + "\u200b", words)
