"""Scene headings: what marks one, and what it says of setting, location and time of day."""

from __future__ import annotations

import re
from dataclasses import dataclass

# INT. and EXT. with or without the full stop, both in either order, I/E and E/I; EST. is an establishing exterior.
_PREFIX = re.compile(
    r"^(?P<setting>(?:INT|EXT)\.?\s*/\s*(?:INT|EXT)\.?|I\.?\s*/\s*E\.?|E\.?\s*/\s*I\.?|INT\.?|EXT\.?|EST\.?)(?=[\s.])[\s.]*",
    re.IGNORECASE,
)
_DASH = re.compile(r"\s+[-–—]+\s*|\s*[–—]+\s+")
_TIMES = re.compile(
    r"\b(DAY|NIGHT|MORNING|AFTERNOON|EVENING|DAWN|DUSK|NOON|MIDNIGHT|MIDDAY|SUNRISE|SUNSET|TWILIGHT|DAYBREAK|NIGHTFALL"
    r"|LATER|CONTINUOUS|SAME(?: TIME)?|MOMENTS? LATER|MAGIC HOUR|GOLDEN HOUR|FIRST LIGHT"
    r"|\d{1,2}(?::\d\d)? ?[AP]\.?M\.?)\b",
    re.IGNORECASE,
)
_NUMBER = r"[A-Z]{0,3}\d+[A-Z]{0,3}(?:[-.]\d+)?"
_LEADING_NUMBER = re.compile(rf"^(?P<number>{_NUMBER})[.)]?\s+(?=\S)")
_TRAILING_NUMBER = re.compile(rf"\s+(?P<number>{_NUMBER})\.?\**$")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading taken apart. A forced heading may have no setting; many have no time of day."""

    setting: str | None
    location: str
    time_of_day: str | None


def is_heading(text: str) -> bool:
    """Whether the text starts as a scene heading does."""
    match = _PREFIX.match(text)
    return match is not None and bool(text[match.end() :].strip())


def take_apart(text: str) -> Heading:
    """Setting (`INT`, `EXT`, `INT/EXT`), location and time of day, in the writer's own words."""
    match = _PREFIX.match(text)
    rest = text[match.end() :] if match else text
    parts = [part.strip() for part in _DASH.split(rest) if part.strip()]
    time = parts.pop() if len(parts) > 1 and _TIMES.search(parts[-1]) else None
    return Heading(_setting(match["setting"]) if match else None, " - ".join(parts) or rest.strip(), time)


def _setting(prefix: str) -> str:
    letters = prefix.upper().replace(".", "").replace(" ", "")
    if "/" in letters:
        return "INT/EXT"
    return "INT" if letters == "INT" else "EXT"


def take_number(text: str) -> tuple[str | None, str]:
    """The scene number that stands in the margins of a heading, and the heading without it."""
    number: str | None = None
    if (leading := _LEADING_NUMBER.match(text)) and is_heading(text[leading.end() :]):
        number, text = leading["number"], text[leading.end() :]
    if number is not None and (trailing := _TRAILING_NUMBER.search(text)) and trailing["number"] == number:
        text = text[: trailing.start()]
    return number, text.strip()
