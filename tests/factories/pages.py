"""A PDF from lines of text at places: small, valid, and laid out as we say. No library: the file is plain to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Put:
    """A piece of text at a place on a page, in points from the left and from the top."""

    page: int
    left: float
    top: float
    text: str


def make_pdf(pieces: list[Put], *, width: float = 612, height: float = 792, by_word: bool = False) -> bytes:
    """A PDF in Courier 12. `by_word` places each word by itself, as many programs do."""
    pages = max((piece.page for piece in pieces), default=0) + 1
    streams = [[piece for piece in pieces if piece.page == page] for page in range(pages)]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    ]
    kids: list[str] = []
    for stream in streams:
        content = b"\n".join(_show(piece, height, by_word) for piece in stream)
        number = len(objects) + 1
        kids.append(f"{number} 0 R")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {number + 1} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content))
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {pages} >>".encode()
    return _file(objects)


def _show(piece: Put, height: float, by_word: bool) -> bytes:
    parts = piece.text.split(" ") if by_word else [piece.text]
    shown: list[bytes] = []
    column = 0
    for part in parts:
        escaped = part.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("cp1252", "replace")
        x = piece.left + 7.2 * column
        shown.append(b"BT /F1 12 Tf 1 0 0 1 %.2f %.2f Tm (%s) Tj ET" % (x, height - piece.top, escaped))
        column += len(part) + 1
    return b"\n".join(shown)


def _file(objects: list[bytes]) -> bytes:
    body = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    offsets: list[int] = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, len(body))
    )
