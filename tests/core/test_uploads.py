"""Scripts on their way in: content against extension, and names made safe."""

from __future__ import annotations

import hashlib
import io

import pytest

from backend.core.errors import Invalid, UnsupportedMedia
from backend.core.uploads import inspect

FDX = b'<?xml version="1.0" encoding="UTF-8"?><FinalDraft Version="5"><Content/></FinalDraft>'

END = b"\nstartxref\n9\n%%EOF"
WHOLE = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj" + END


@pytest.mark.parametrize(
    ("name", "content", "media_type"),
    [
        ("a.pdf", WHOLE, "application/pdf"),
        ("A.PDF", WHOLE.replace(b"1.4", b"2.0") + b"\r\n" * 500, "application/pdf"),
        ("a.pdf", WHOLE + b"\n2 0 obj\n<<>>\nendobj\nstartxref\r\n60\r\n%%EOF\n", "application/pdf"),
        ("a.pdf", b"%PDF-1.4\n" + b"x" * 5_000_000 + END, "application/pdf"),
        ("a.fdx", FDX, "application/xml"),
        ("a.fdx", FDX.decode().replace("UTF-8", "UTF-16").encode("utf-16"), "application/xml"),
        ("a.fdx", b"\xef\xbb\xbf" + FDX, "application/xml"),
        ("a.fountain", b"x", "text/plain; charset=utf-8"),
        ("a.fountain", "FADE IN:\f\n\tÉTÉ 夜".encode(), "text/plain; charset=utf-8"),
    ],
)
def test_content_that_matches_is_taken(name: str, content: bytes, media_type: str) -> None:
    script = inspect(io.BytesIO(content), name)
    assert (script.media_type, script.size, script.file_name) == (media_type, len(content), name)
    assert script.sha256 == hashlib.sha256(content).digest()
    assert script.content.read() == content  # ready to be read from its start


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b" " + WHOLE),
        ("a.pdf", b"%PDF-1.4"),
        ("a.pdf", WHOLE[:-1]),
        ("a.pdf", WHOLE + b"\n" + bytes(3000)),
        ("a.pdf", WHOLE.replace(b"\n9\n", b"\n99\n")),
        ("a.pdf", WHOLE.replace(b"\n9\n", b"\n-9\n")),
        ("a.pdf", WHOLE.replace(b"\n9\n", b"\n0\n")),
        ("a.pdf", WHOLE.replace(b"\n9\n", b"\n" + b"9" * 5000 + b"\n")),
        ("a.pdf", b"PK\x03\x04"),
        ("a.pdf", FDX),
        ("a.fdx", b"<html></html>"),
        ("a.fdx", b"<Other><FinalDraft/></Other>"),
        ("a.fdx", b'<!DOCTYPE FinalDraft [<!ENTITY x "y">]><FinalDraft/>'),
        ("a.fdx", b'<?xml version="1.0" encoding="klingon"?><FinalDraft/>'),
        ("a.fdx", b"\x00<FinalDraft/>"),
        ("a.fdx", b"<FinalDraft"),
        ("a.fountain", b"%PDF-1.4"),
        ("a.fountain", FDX),
        ("a.fountain", b"\xef\xbb\xbf\n " + FDX),
        ("a.fountain", b"  <FinalDraft>"),
        ("a.fountain", b"a\x00b"),
        ("a.fountain", b"\x1b[31m"),
        ("a.fountain", "Café".encode("latin-1")),
        ("a.fountain", "Title".encode("utf-16")),
        ("a.fountain", b"x" * 1024 * 1024 + b"\xc3"),
        ("a.txt", b"x"),
        ("a.pdf.", b"%PDF-1.4"),
        ("", b"%PDF-1.4"),
        ("pdf", b"%PDF-1.4"),
        ("a.pdf\u202e.exe", b"%PDF-1.4"),
    ],
)
def test_content_that_does_not_match_is_refused(name: str, content: bytes) -> None:
    with pytest.raises(UnsupportedMedia):
        inspect(io.BytesIO(content), name)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(Invalid):
        inspect(io.BytesIO(b""), "a.pdf")


def test_a_character_across_two_chunks_is_whole() -> None:
    content = b"x" * (1024 * 1024 - 1) + "é".encode()
    assert inspect(io.BytesIO(content), "a.fountain").size == len(content)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../a.pdf", "a.pdf"),
        ("C:\\x\\a.pdf", "a.pdf"),
        ("a\r\nb\x00.pdf", "ab.pdf"),
        ("é" * 300 + ".pdf", "é" * 251 + ".pdf"),
    ],
)
def test_a_name_is_no_path_and_can_be_stored(sent: str, kept: str) -> None:
    name = inspect(io.BytesIO(WHOLE), sent).file_name
    assert name == kept
    assert len(name) <= 255
