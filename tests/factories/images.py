"""Pictures: what a page looks like, and what a phone reads on it."""

from __future__ import annotations

import struct
import zlib

import zxingcpp


def greys(png: bytes) -> memoryview:
    """The red of every pixel of an 8-bit RGBA picture, by row and column: enough for what is black on white."""
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks[kind] = chunks.get(kind, b"") + png[at + 8 : at + 8 + length]
        at += 12 + length
    width, height, depth, colours = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colours) == (8, 6)
    raw, stride = zlib.decompress(chunks[b"IDAT"]), width * 4
    rows, above = [], bytes(stride)
    for start in range(0, len(raw), stride + 1):
        above = _unfiltered(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), above)
        rows.append(above[::4])
    return memoryview(b"".join(rows)).cast("B", shape=[height, width])


def _unfiltered(kind: int, line: bytearray, above: bytes) -> bytes:
    """One line of a picture as it was before PNG's filter."""
    if kind == 2 and not any(line):  # most of a page: the same as the line above
        return above
    for index, value in enumerate(line):
        left, corner = (line[index - 4], above[index - 4]) if index >= 4 else (0, 0)
        line[index] = (value + _guess(kind, left, above[index], corner)) & 255
    return bytes(line)


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind < 4:
        return (0, left, up, (left + up) // 2)[kind]
    return min((left, up, corner), key=lambda each: abs(left + up - corner - each))


def codes_on(png: bytes) -> list[str]:
    """The text of every barcode in a picture."""
    return [found.text for found in zxingcpp.read_barcodes(greys(png))]
