"""From rounds to the table in docs/performance.md."""

from __future__ import annotations

import json
import platform
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

BEGIN, END = "<!-- made by scripts/bench: {} -->", "<!-- end of {} -->"


@dataclass(frozen=True, slots=True)
class Round:
    """One program under one load for a few seconds. Times are milliseconds, memory megabytes."""

    row: str
    program: str
    number: int
    rate: float
    p50: float
    p99: float
    refused: int
    broken: int
    cpu: float
    postgres: float
    memory: float


def summary(rounds: list[Round]) -> dict[str, dict[str, dict[str, float]]]:
    """Medians by row and program, and the ratio to the floor of the same round with its spread."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    by: dict[tuple[str, str], list[Round]] = defaultdict(list)
    for each in rounds:
        by[each.row, each.program].append(each)
    for (row, program), mine in by.items():
        values = {
            name: median(getattr(each, name) for each in mine)
            for name in ("rate", "p50", "p99", "cpu", "postgres", "memory")
        }
        values["refused"] = sum(each.refused for each in mine)
        for against in ("floor", "usual"):
            theirs = {each.number: each.rate for each in by.get((row, against), [])}
            ratios = sorted(each.rate / theirs[each.number] for each in mine if each.number in theirs)
            if ratios and program != against:
                values |= {
                    f"to_{against}": median(ratios),
                    f"to_{against}_low": ratios[0],
                    f"to_{against}_high": ratios[-1],
                }
        found[row][program] = values
    return found


def markdown(titles: dict[str, str], found: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table."""
    lines = [
        "| work | program | answers/s | p50 ms | p99 ms | CPU ms, process | CPU ms, PostgreSQL | memory MB | of the floor | times the usual |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row, title in titles.items():
        for program, values in found.get(row, {}).items():
            lines.append(
                f"| {title} | {program} | {values['rate']:.0f} | {values['p50']:.1f} | {values['p99']:.1f} "
                f"| {values['cpu']:.2f} | {values['postgres']:.2f} | {values['memory']:.0f} "
                f"| {_spread(values, 'to_floor')} | {_spread(values, 'to_usual')} |"
            )
    return "\n".join(lines)


def _spread(values: dict[str, float], name: str) -> str:
    if name not in values:
        return ""
    return f"**{values[name]:.2f}** ({values[f'{name}_low']:.2f}–{values[f'{name}_high']:.2f})"


def heading(**facts: Any) -> str:
    """Where and with what a table was made."""
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items())
    return f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {said}"


def write_between(path: Path, name: str, text: str) -> None:
    """Put the text between its two markers in a page. Raises ValueError when they are not there."""
    begin, end = BEGIN.format(name), END.format(name)
    page = path.read_text()
    if begin not in page or end not in page:
        raise ValueError(f"{path} has no markers {begin} … {end}")
    before, _, rest = page.partition(begin)
    path.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def save(path: Path, rounds: list[Round], **facts: Any) -> None:
    """Every round, for whoever wants to look closer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"facts": facts, "rounds": [asdict(each) for each in rounds]}, indent=1, default=str))
