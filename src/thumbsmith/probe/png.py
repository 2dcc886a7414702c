"""PNG and APNG: the image header, and what chunks before the first image data tell.

W3C PNG, third edition, sections 5 and 11.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe import exif
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import Window

# Colour type: (channels, bit depths). Table 11.1 of the specification.
_COLOURS: Final = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    3: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
_WITH_ALPHA: Final = (4, 6)

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_FIRST_CHUNK: Final = 8
_AFTER_HEADER: Final = _FIRST_CHUNK + 12 + 13
_MAX_LENGTH: Final = 2**31 - 1
_MAX_CHUNKS: Final = 4_096


def read(data: Window) -> Probe:
    """Return what a PNG says before its image data. Raises Rejected(corrupt) for a broken header, ShortRead.

    `frames` is what acTL announces; whether the animation has them is found when they are decoded.
    """
    width, height, depth, colour, interlaced = _header(data)
    orientation, frames, transparent = 1, 1, colour in _WITH_ALPHA
    primaries, transfer = 0, 0
    for kind, body in chunks(data):
        if kind == b"IDAT":
            break
        if kind == b"IEND":
            raise Rejected(Code.CORRUPT, "the PNG ends without image data")
        if kind == b"tRNS":
            transparent = True
        elif kind == b"acTL":
            frames = max(1, body.unpack(">I", 0)[0])
        elif kind == b"fcTL":
            _check_frame(body, width, height)
        elif kind == b"eXIf":
            orientation = exif.orientation(body)
        elif kind == b"cICP":
            primaries, transfer = body.unpack("BB", 0)
    return Probe(
        format="png",
        bytes=data.size,
        width=width,
        height=height,
        orientation=orientation,
        frames=frames,
        channels=_COLOURS[colour][0],
        depth=depth,
        alpha=transparent,
        primaries=primaries,
        transfer=transfer,
        interlaced=interlaced,
    )


def _header(data: Window) -> tuple[int, int, int, int, bool]:
    """Return width, height, bit depth, colour type and whether the picture is interlaced."""
    length, checksum = data.unpack(">I", _FIRST_CHUNK)[0], data.unpack(">I", _AFTER_HEADER - 4)[0]
    chunk = data.read(_FIRST_CHUNK + 4, 4 + 13)
    if length != 13 or not chunk.startswith(b"IHDR") or zlib.crc32(chunk) != checksum:
        raise Rejected(Code.CORRUPT, "the PNG does not begin with a sound image header")
    width, height, depth, colour, compression, filtering, interlace = data.unpack(">IIBBBBB", _FIRST_CHUNK + 8)
    if not (0 < width <= _MAX_LENGTH and 0 < height <= _MAX_LENGTH):
        raise Rejected(Code.CORRUPT, f"the PNG claims to be {width} x {height}")
    if colour not in _COLOURS or depth not in _COLOURS[colour][1] or compression or filtering or interlace > 1:
        raise Rejected(Code.CORRUPT, "the PNG's image header holds values that no PNG can have")
    return width, height, depth, colour, bool(interlace)


def _check_frame(body: Window, width: int, height: int) -> None:
    """Reject the first frame of an animation where it lies outside of the picture."""
    frame_width, frame_height, left, top = body.unpack(">IIII", 4)
    if left + frame_width > width or top + frame_height > height:
        what = f"{left + frame_width} x {top + frame_height}"
        raise Rejected(Code.CORRUPT, f"a frame of the PNG reaches to {what}, beyond its picture")


def chunks(data: Window) -> Iterator[tuple[bytes, Window]]:
    """Yield the type and the body of every chunk after the image header. Raises Rejected(corrupt), ShortRead."""
    offset = _AFTER_HEADER
    for _ in range(_MAX_CHUNKS):
        length, kind = data.unpack(">I", offset)[0], data.read(offset + 4, 4)
        if length > _MAX_LENGTH or not kind.isalpha():
            raise Rejected(Code.CORRUPT, f"there is no PNG chunk at byte {offset}")
        yield kind, data.window(offset + 8, length)
        offset += 12 + length
    raise Rejected(Code.CORRUPT, f"the PNG has {_MAX_CHUNKS} chunks and no image data")
