"""From rounds to the table in docs/performance.md."""

from __future__ import annotations

import json
import platform
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
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


def named(round_: Round, program: str) -> Round:
    """The same round under another name: of a size, a number of processes, or what went on beside."""
    return replace(round_, program=program)


def _by_turn(made: list[Round], program: str) -> dict[tuple[str, int], Round]:
    return {(each.row, each.number): each for each in made if each.program == program}


def _ratios(made: list[Round], program: str, against: str, value: str) -> list[float]:
    """A value of one program over that of another, turn by turn."""
    theirs = _by_turn(made, against)
    mine = _by_turn(made, program)
    return sorted(getattr(each, value) / getattr(theirs[key], value) for key, each in mine.items())


def _said(ratios: list[float]) -> str:
    return f"**{median(ratios):.2f}** ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def pressure(made: list[Round]) -> str:
    """How the slowest answers stand to the others, and to those of a quiet moment."""
    lines = ["| one slot | answers/s | p50 ms | p99 ms | p99 of alone | p99 / p50 |", "|---|--:|--:|--:|--:|--:|"]
    for program in dict.fromkeys(each.program for each in made):
        mine = [each for each in made if each.program == program]
        values = [f"{median(getattr(each, name) for each in mine):.1f}" for name in ("rate", "p50", "p99")]
        lines.append(
            f"| {program} | {' | '.join(values)} | {_said(_ratios(made, program, 'alone', 'p99'))} "
            f"| {_said(sorted(each.p99 / each.p50 for each in mine))} |"
        )
    return "\n".join(lines)


def growth(titles: dict[str, str], made: list[Round]) -> str:
    """The median answer for each size, and how many times slower it is than at a tenth of the data."""
    lines = [
        "| work | slots | answers/s | p50 ms | p99 ms | times the p50 of the size before |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in dict.fromkeys(each.row for each in made):
        of_row = [each for each in made if each.row == row]
        sizes = list(dict.fromkeys(each.program for each in of_row))
        for number, size in enumerate(sizes):
            mine = [each for each in of_row if each.program == size]
            values = [f"{median(getattr(each, name) for each in mine):.1f}" for name in ("rate", "p50", "p99")]
            slower = _said(_ratios(of_row, size, sizes[number - 1], "p50")) if number else ""
            lines.append(f"| {titles[row]} | {int(size):,} | {' | '.join(values)} | {slower} |")
    return "\n".join(lines)


def processes(titles: dict[str, str], made: list[Round]) -> str:
    """The rate for each number of processes, and how many times that of the first."""
    counts = list(dict.fromkeys(each.program for each in made))
    lines = [
        "| work | processes | answers/s | p50 ms | p99 ms | memory MB | times the first |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in dict.fromkeys(each.row for each in made):
        of_row = [each for each in made if each.row == row]
        for count in counts:
            mine = [each for each in of_row if each.program == count]
            values = [
                f"{median(getattr(each, name) for each in mine):.1f}" for name in ("rate", "p50", "p99", "memory")
            ]
            lines.append(
                f"| {titles[row]} | {count} | {' | '.join(values)} | {_said(_ratios(of_row, count, counts[0], 'rate'))} |"
            )
    return "\n".join(lines)
