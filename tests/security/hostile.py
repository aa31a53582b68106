"""Hostile scripts, made by code: what parsers choke on, and names that file systems do."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

from pypdf import PdfWriter

Hostile = tuple[str, str, bytes]  # what it is, its name, its content

_ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))


def _pdf(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A PDF of these objects, with the table that points at them."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def _page(stream: bytes, more: bytes = b"") -> bytes:
    content = b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(stream), more, stream)
    return _pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R >>",
        content,
    )


def _bomb(layers: int) -> bytes:
    data = zlib.compress(b"\0" * (300 * 1024 * 1024), 9)
    for _ in range(layers - 1):
        data = zlib.compress(data, 9)
    return _page(data, b"/Filter [" + b" /FlateDecode" * layers + b"]")


def _written(*, password: str | None = None, pages: int = 1) -> bytes:
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(612, 792)
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def pdfs() -> Iterator[Hostile]:
    """PDFs that are cut, locked, endless or something else besides."""
    good = _written(pages=3)
    yield "a PDF cut in half", "cut.pdf", good[: len(good) // 2]
    yield "only a head", "head.pdf", b"%PDF-1.7\n"
    yield "a head and noise", "noise.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 400
    yield "no end", "endless.pdf", good.replace(b"%%EOF", b"")
    yield "a table that points nowhere", "nowhere.pdf", good.replace(b"startxref\n", b"startxref\n9999")
    yield "a negative start", "negative.pdf", good.replace(b"startxref\n", b"startxref\n-")
    yield "a locked PDF", "locked.pdf", _written(password="secret")
    yield "a compression bomb", "bomb.pdf", _bomb(1)
    yield "a bomb in a bomb", "bombs.pdf", _bomb(2)
    kids = b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"
    yield "pages that hold themselves", "loop.pdf", _pdf(b"<< /Type /Catalog /Pages 2 0 R >>", kids)
    yield "a parent that is its child", "parent.pdf", _pdf(b"<< /Type /Catalog /Pages 1 0 R /Kids [1 0 R] >>")
    yield (
        "a million pages claimed",
        "claimed.pdf",
        _pdf(b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 1000000 >>"),
    )
    yield "deep arrays", "deep.pdf", _pdf(b"<< /Type /Catalog /Pages " + b"[" * 50_000 + b"]" * 50_000 + b" >>")
    yield "deep dictionaries", "dicts.pdf", _pdf(b"<< /A " * 20_000 + b">>" * 20_000)
    yield "a filter of another kind", "filter.pdf", _page(b"x" * 100, b"/Filter /JBIG2Decode")
    yield "a hundred filters", "filters.pdf", _page(zlib.compress(b"x"), b"/Filter [" + b"/FlateDecode " * 100 + b"]")
    yield "a length that lies", "length.pdf", _page(b"BT ET").replace(b"/Length 5", b"/Length 999999999")
    yield "a table chained to itself", "chain.pdf", _pdf(b"<< /Type /Catalog >>", trailer=b"/Root 1 0 R /Prev 9")
    yield (
        "a script inside",
        "script.pdf",
        _pdf(
            b"<< /Type /Catalog /OpenAction << /S /JavaScript /JS (app.alert(1)) >> /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [] /Count 0 >>",
        ),
    )
    yield "a PDF that is a web page too", "both.pdf", b"%PDF-1.7\n<html><script>alert(1)</script></html>"
    yield "a PDF with an archive behind", "zip.pdf", good + b"PK\x03\x04" + bytes(1000)


def documents() -> Iterator[Hostile]:
    """Final Draft documents that blow up, reach out or do not end."""
    head, body = b'<?xml version="1.0"?>', b"<FinalDraft><Content></Content></FinalDraft>"
    yield (
        "a billion laughs",
        "laughs.fdx",
        (
            f'<?xml version="1.0"?><!DOCTYPE FinalDraft [<!ENTITY a0 "ha">{_ENTITIES}]><FinalDraft>&a9;</FinalDraft>'
        ).encode(),
    )
    external = b'<!DOCTYPE FinalDraft [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    yield "a file of ours", "entity.fdx", head + external + b"<FinalDraft>&x;</FinalDraft>"
    yield "a page of another host", "remote.fdx", head + b'<!DOCTYPE FinalDraft SYSTEM "http://127.0.0.1:9/x">' + body
    yield "a parameter entity", "parameter.fdx", head + b'<!DOCTYPE a [<!ENTITY % x "y"> %x;]>' + body
    yield "a document cut short", "cut.fdx", head + b"<FinalDraft><Content><Paragraph>"
    yield "a hundred thousand levels", "deep.fdx", head + b"<FinalDraft>" + b"<a>" * 100_000
    yield "an attribute of ten megabytes", "long.fdx", head + b'<FinalDraft a="' + b"x" * 10_000_000 + b'"/>'
    yield (
        "a hundred thousand attributes",
        "wide.fdx",
        (head + b"<FinalDraft " + b" ".join(b'a%d="x"' % n for n in range(100_000)) + b"/>"),
    )
    yield "another document", "other.fdx", head + b"<html/>"
    yield "bytes that are no UTF-8", "latin.fdx", head + b"<FinalDraft>\xff\xfe</FinalDraft>"
    yield "an encoding nobody has", "encoding.fdx", b'<?xml version="1.0" encoding="x-evil"?>' + body
    yield "UTF-16 without a mark", "utf16.fdx", (head + body).decode().encode("utf-16-le")


def texts() -> Iterator[Hostile]:
    """Fountain files that are none, or too much of one, and names that are no names."""
    good = b"INT. TRAIN - NIGHT\n\nA cup.\n"
    yield "a program", "program.fountain", b"\x7fELF" + bytes(2000)
    yield "NUL inside", "nul.fountain", b"INT. TRAIN\n\x00\n"
    yield "a PDF by another name", "pdf.fountain", b"%PDF-1.7\n"
    yield "one line of twenty megabytes", "line.fountain", b"(" * 20_000_000
    yield "a million headings", "headings.fountain", b"INT. A - DAY\n\n" * 1_000_000
    yield "boneyards that do not close", "boneyard.fountain", b"/*" * 200_000
    yield "emphasis that does not end", "stars.fountain", b"INT. A\n\n" + b"*_" * 200_000
    yield "a name that climbs", "../../../../etc/cron.d/x.fountain", good
    yield "a name with a header in it", 'a"\r\nSet-Cookie: x=y\r\n.fountain', good
    yield "a name of ten thousand letters", "a" * 10_000 + ".fountain", good
    yield "a name that is written backwards", "\u202etnuof.exe.fountain", good
    yield "a program's name", "script.exe", good
    yield "two endings", "script.pdf.exe", b"%PDF-1.7\n"
    yield "no name at all", ".fountain", good
