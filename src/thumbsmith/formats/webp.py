"""WebP without what is wrong around its picture: a size or flags that do not fit, metadata that is cut.

RFC 9649. libwebp takes a file whose RIFF size is beyond its end for one that is still on its way.
"""

from __future__ import annotations

import struct
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.formats.patched import Patched
from thumbsmith.formats.spliced import Part, Spliced
from thumbsmith.probe.types import MAX_FRAMES
from thumbsmith.probe.webp import lossless_pictures
from thumbsmith.probe.window import ShortRead, Window
from thumbsmith.reader import RangeReader

_FIRST_CHUNK: Final = 12
_HEADER: Final = 8

# What a picture is made of, and the flags of the extended header that speak of other chunks: ICC profile, EXIF, XMP.
_PICTURES: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_PROFILE: Final = 0x20
_ALPHA_AND_ANIMATION: Final = 0x12
_ALPHA: Final = 0x10

# Of a lossless picture: where the byte is that says whether it has alpha, and its bit (RFC 9649, 3.4).
_HINT: Final = 4
_HAS_ALPHA: Final = 0x10

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


def revealed(reader: RangeReader, *, alpha: bool) -> RangeReader:
    """Return a WebP, which was probed before, whose header admits the alpha that its pictures have.

    A lossless picture holds alpha in any case, and says whether it matters: "a hint only" (RFC 9649, 3.4). `alpha` says
    that there is some. Decoders leave out what is not announced; browsers show it. A file that is cut stays as it is,
    for the decoder to judge. Raises what the reader raises.
    """
    data = Window.over(reader)
    try:
        hints = [place + _HINT for place in lossless_pictures(data) if place + _HINT < data.size]
    except (ShortRead, Rejected):
        return reader
    edits = [(place, bytes((data.byte(place) | _HAS_ALPHA,))) for place in hints]
    if data.read(_FIRST_CHUNK, 4) == b"VP8X" and (alpha or hints):
        edits.append((_FIRST_CHUNK + _HEADER, bytes((data.byte(_FIRST_CHUNK + _HEADER) | _ALPHA,))))
    return Patched(reader, tuple(edits)) if edits else reader
