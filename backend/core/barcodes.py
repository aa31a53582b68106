"""QR codes as drawings: the same text gives the same bytes."""

from __future__ import annotations

import segno


def qr_svg(text: str) -> str:
    """The text as a QR code, an SVG that is black on white with its quiet zone; a seventh of it may be spoilt (M)."""
    code = segno.make_qr(text, error="m", boost_error=False)
    return str(code.svg_inline(border=4, dark="#000", light="#fff", omitsize=True))
