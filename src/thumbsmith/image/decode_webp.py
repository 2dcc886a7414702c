"""WebP for its decoder: with the alpha that its header hides, and without the damage around its picture.

RFC 9649. libwebp takes a file whose RIFF size is beyond its end for one that is still being received.
"""

from __future__ import annotations

import struct
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import ShortRead, Window
from thumbsmith.image.containers.webp import (
    ALPHA_FLAG,
    ANIMATION_FLAG,
    CHUNK_HEADER_BYTES,
    EXTENDED_HEADER_BYTES,
    FIRST_CHUNK,
    PROFILE_FLAG,
    chunks,
    lossless_pictures,
)
from thumbsmith.image.stream import Part, Patched, Spliced
from thumbsmith.reader import RangeReader

_PICTURE_CHUNKS: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})

# In a lossless picture: the offset of the byte with the alpha hint, and its bit (RFC 9649, 3.4).
_HINT_OFFSET: Final = 4
_HINT_BIT: Final = 0x10


def announce_alpha(reader: RangeReader, *, alpha: bool, frames: int = 1) -> RangeReader:
    """Return a WebP, which was probed before, whose header announces the alpha of its pictures.

    A lossless picture always contains alpha, and says whether it matters: "a hint only" (RFC 9649, 3.4). `alpha` says
    that the image has some. Decoders ignore alpha that is not announced; browsers show it. Of an animation only the
    first `frames` frames are read. A cut file is returned as it is, for the decoder to judge. Raises what the reader
    raises.
    """
    data = Window.over(reader)
    try:
        hints = [start + _HINT_OFFSET for start in lossless_pictures(data, frames) if start + _HINT_OFFSET < data.size]
    except (ShortRead, Rejected):
        return reader
    edits = [(offset, bytes((data.byte(offset) | _HINT_BIT,))) for offset in hints]
    if data.read(FIRST_CHUNK, 4) == b"VP8X" and (alpha or hints):
        flags = FIRST_CHUNK + CHUNK_HEADER_BYTES
        edits.append((flags, bytes((data.byte(flags) | ALPHA_FLAG,))))
    return Patched(reader, tuple(edits)) if edits else reader


def picture_only(reader: RangeReader) -> RangeReader:
    """Return only the picture and the color profile of a WebP that was probed before, with the right RIFF size.

    Raises Rejected(truncated) if a part of the picture is cut, and what the reader raises.
    """
    data = Window.over(reader)
    parts: list[Part] = []
    extended: bytes | None = None
    has_profile = False
    for chunk in chunks(data):
        if chunk.kind == b"VP8X" and extended is None and chunk.length >= EXTENDED_HEADER_BYTES:
            extended = data.read(chunk.offset, CHUNK_HEADER_BYTES + EXTENDED_HEADER_BYTES)
        elif chunk.kind in _PICTURE_CHUNKS or (chunk.kind == b"ICCP" and not has_profile):
            if chunk.end > data.size:
                raise Rejected(Code.TRUNCATED, "the WebP ends before its picture does")
            parts += [(chunk.offset, chunk.end), bytes(chunk.length & 1)]
            has_profile |= chunk.kind == b"ICCP"
    if extended:
        kept_flags = extended[CHUNK_HEADER_BYTES] & (ALPHA_FLAG | ANIMATION_FLAG)
        flags = kept_flags | (PROFILE_FLAG if has_profile else 0)
        header = struct.pack("<4sIB", b"VP8X", EXTENDED_HEADER_BYTES, flags)
        parts.insert(0, header + extended[CHUNK_HEADER_BYTES + 1 :])
    body = Spliced(reader, tuple(parts))
    return Spliced(reader, (b"RIFF" + struct.pack("<I", 4 + body.size) + b"WEBP", *parts))
