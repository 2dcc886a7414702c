"""WebP: lossy, lossless and extended, with the frames of an animation.

RFC 9649 for the container and VP8L, RFC 6386 section 9.1 for VP8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe import exif
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import Window

_ANIMATION, _EXIF, _ALPHA = 0x02, 0x08, 0x10

# Counting frames ends here; `frames` is then what was seen so far.
_MAX_CHUNKS: Final = 100_000


def read(data: Window) -> Probe:
    """Return what a WebP says. Raises Rejected for a broken header or a RIFF size beyond the file, ShortRead.

    The size is that of the canvas: libwebp refuses a picture or a frame that does not fit it.
    """
    (size,) = data.unpack("<I", 4)
    if 8 + size > data.size:
        raise Rejected(Code.TRUNCATED, f"the WebP should have {8 + size} bytes; there are {data.size}")
    riff = data.window(0, 8 + size)
    kind, body = riff.read(12, 4), riff.window(20)
    if kind == b"VP8X":
        return _extended(riff, body)
    if kind == b"VP8L":
        width, height, alpha = _lossless(body)
    elif kind == b"VP8 ":
        width, height, alpha = *_lossy(body), False
    else:
        raise Rejected(Code.CORRUPT, "the WebP begins with no picture")
    return Probe(format="webp", bytes=data.size, width=width, height=height, channels=3 + alpha, alpha=alpha)


def _extended(riff: Window, body: Window) -> Probe:
    flags = body.byte(0)
    sides = body.read(4, 6)
    frames, orientation = 0, 1
    if flags & (_ANIMATION | _EXIF):
        riff.buffer.expect_walk()
        for kind, chunk in _chunks(riff):
            frames += kind == b"ANMF"
            if kind == b"EXIF" and flags & _EXIF:
                orientation = exif.orientation(chunk)
    return Probe(
        format="webp",
        bytes=riff.buffer.size,
        width=int.from_bytes(sides[:3], "little") + 1,
        height=int.from_bytes(sides[3:], "little") + 1,
        orientation=orientation,
        frames=max(1, frames) if flags & _ANIMATION else 1,
        channels=4 if flags & _ALPHA else 3,
        alpha=bool(flags & _ALPHA),
    )


def _chunks(riff: Window) -> Iterator[tuple[bytes, Window]]:
    """Yield the type and the body of every chunk after the first, VP8X."""
    offset = 12
    for _ in range(_MAX_CHUNKS):
        offset += 8 + _padded(riff, offset)
        if offset + 8 > riff.size:
            return
        yield riff.read(offset, 4), riff.window(offset + 8, riff.unpack("<I", offset + 4)[0])


def _padded(riff: Window, offset: int) -> int:
    (length,) = riff.unpack("<I", offset + 4)
    return length + (length & 1)


def _lossless(body: Window) -> tuple[int, int, bool]:
    signature, bits = body.unpack("<BI", 0)
    if signature != 0x2F or bits >> 29:
        raise Rejected(Code.CORRUPT, "the lossless WebP has no sound header")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)


def _lossy(body: Window) -> tuple[int, int]:
    width, height = body.unpack("<HH", 6)
    width, height = width & 0x3FFF, height & 0x3FFF
    if body.byte(0) & 1 or body.read(3, 3) != b"\x9d\x01\x2a" or not (width and height):
        raise Rejected(Code.CORRUPT, "the lossy WebP does not begin with a key frame")
    return width, height
