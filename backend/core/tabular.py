"""Tables that come in as CSV: read row by row, whatever wrote them, and never whole in memory."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

MOST_FINDINGS = 100
_LONGEST_LINE = 1024 * 1024


class Findings:
    """What is wrong with a table: the first hundred findings, and how many there are in all."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[dict[str, Any]] = []

    def add(self, row: int, field: str, message: str) -> None:
        """One more. The message never repeats what was sent."""
        self.count += 1
        if len(self.first) < MOST_FINDINGS:
            self.first.append({"row": row, "field": field, "message": message})


class _Unreadable(Exception):
    """Where it stands, nothing after it can be told apart."""


class Table:
    """A CSV file with a header, in UTF-8 with or without a byte order mark, with any line ending.

    Rows are numbered as a spreadsheet shows them: the header is row 1, a blank line counts, and a cell with line breaks
    is still in one row. Everything that is wrong goes to `findings`. It blocks: read it in a thread.
    """

    def __init__(self, content: BinaryIO, required: Sequence[str], optional: Sequence[str], findings: Findings) -> None:
        self._content = content
        self._required = required
        self._known = (*required, *optional)
        self._findings = findings
        self.header: list[str] = []

    def rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The number and the cells of every row that is not blank: trimmed, without the empty ones.

        `header` is set before the first.
        """
        self._content.seek(0)
        # A wrong byte becomes a lone surrogate here, so that it is found in its own row and not a chunk ahead of it.
        text = io.TextIOWrapper(self._content, "utf-8-sig", errors="surrogateescape", newline="")
        number = 0
        try:
            for number, cells in enumerate(csv.reader(_lines(text), strict=True), 1):
                if not self.header:
                    trimmed = [cell.strip() for cell in cells]
                    if any(trimmed) and not self._take_header(number, trimmed):
                        return
                elif len(cells) == len(self.header):
                    if filled := {
                        name: cell for name, cell in zip(self.header, map(str.strip, cells), strict=True) if cell
                    }:
                        yield number, filled
                elif any(map(str.strip, cells)):
                    self._findings.add(number, "row", f"has {len(cells)} cells where the header has {len(self.header)}")
        except _Unreadable as error:
            self._findings.add(number + 1, "row", str(error))
        except csv.Error:
            limit = csv.field_size_limit()
            self._findings.add(number + 1, "row", f"a quote is not closed, or a cell has more than {limit} characters")
        finally:
            text.detach()
        if not self.header and not self._findings.count:
            self._findings.add(1, "header", "the file is empty")

    def _take_header(self, number: int, names: list[str]) -> bool:
        before = self._findings.count
        known = f"one of {', '.join(self._known)}, separated by commas"
        for place, name in enumerate(names, 1):
            if name not in self._known:
                self._findings.add(number, "header", f"column {place} is not {known}")
            elif name in names[: place - 1]:
                self._findings.add(number, name, "this column stands twice")
        for name in self._required:
            if name not in names:
                self._findings.add(number, name, "this column is missing")
        self.header = names
        return self._findings.count == before


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST_LINE):
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError:
                raise _Unreadable("is not UTF-8; export the file as UTF-8") from None
        if "\0" in line:
            raise _Unreadable("has the character NUL; export the file as UTF-8 text")
        if len(line) == _LONGEST_LINE:
            raise _Unreadable(f"has a line of more than {_LONGEST_LINE} characters")
        yield line
