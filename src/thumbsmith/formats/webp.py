"""WebP without what is wrong around its picture: a size that does not fit the file, metadata that is cut.

RFC 9649, section 2. libwebp takes a file whose RIFF size is beyond its end for one that is still on its way.
"""

from __future__ import annotations

import struct
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.formats.spliced import Part, Spliced
from thumbsmith.probe.types import MAX_FRAMES
from thumbsmith.probe.window import Window
from thumbsmith.reader import RangeReader

_FIRST_CHUNK: Final = 12
_HEADER: Final = 8

# What a picture is made of, and the flags of the extended header that speak of other chunks: ICC profile, EXIF, XMP.
_PICTURES: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_PROFILE: Final = 0x20
_ALPHA_AND_ANIMATION: Final = 0x12

_MOST_CHUNKS: Final = MAX_FRAMES + 1_000


def picture_alone(reader: RangeReader) -> RangeReader:
    """Return a WebP, which was probed before, of its picture and color profile alone, with the size that it has.

    Raises Rejected, `truncated`, where a part of the picture is cut, and what the reader raises.
    """
    data = Window.over(reader)
    parts: list[Part] = []
    extended: bytes | None = None
    profile, offset = False, _FIRST_CHUNK
    for _ in range(_MOST_CHUNKS):
        if offset + _HEADER > data.size:
            break
        kind, (length,) = data.read(offset, 4), data.unpack("<I", offset + 4)
        end = offset + _HEADER + length
        if kind == b"VP8X" and extended is None and length >= 10:
            extended = data.read(offset, _HEADER + 10)
        elif kind in _PICTURES or (kind == b"ICCP" and not profile):
            if end > data.size:
                raise Rejected(Code.TRUNCATED, "the WebP ends before its picture does")
            parts += [(offset, end), bytes(length & 1)]
            profile |= kind == b"ICCP"
        offset = end + (length & 1)
    if extended:
        flags = (extended[_HEADER] & _ALPHA_AND_ANIMATION) | (_PROFILE if profile else 0)
        head = struct.pack("<4sIB", b"VP8X", 10, flags) + extended[_HEADER + 1 :]
        parts.insert(0, head)
    made = Spliced(reader, tuple(parts))
    return Spliced(reader, (b"RIFF" + struct.pack("<I", 4 + made.size) + b"WEBP", *parts))
