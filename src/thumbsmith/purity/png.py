"""PNG: the header, palette and transparency, the pixels, and the end. W3C PNG, third edition."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from thumbsmith.purity.extras import KEYWORDS, XMP_KEYWORD, Extras
from thumbsmith.purity.parts import Impure, number, require, require_few

_NEEDED: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_CHANNELS: Final = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

# How often each chunk may come: one profile, one EXIF block, texts of author, copyright and XMP.
_AT_MOST: Final = {b"IHDR": 1, b"PLTE": 1, b"tRNS": 1, b"IEND": 1, b"iCCP": 1, b"eXIf": 1, b"iTXt": 3, b"acTL": 1}

# Bytes that are unpacked at a time, and that are given to be unpacked: what is left of these is copied each time.
_AT_ONCE: Final = 1 << 20
_PIECE: Final = 1 << 16

# Frames after the first, and what says when they are shown (11.3.6).
_FRAMES: Final = frozenset({b"acTL", b"fcTL", b"fdAT"})

# Keyword, no compression, no language, no translation: a text as it is written here (11.3.3.4).
_TEXT: Final = re.compile(rb"([^\0]+)\0\0\0\0\0(.*)", re.DOTALL)


def check(data: bytes, extras: Extras) -> None:
    """Raise Impure for a PNG that holds more than a picture: texts, profiles, anything after its pixels or its end."""
    offset, kind, pixels, seen = 8, b"", list[memoryview](), Counter[bytes]()
    while kind != b"IEND":
        length, kind = number(data, ">I", offset), data[offset + 4 : offset + 8]
        seen[kind] += 1
        require_few(seen.total(), len(data), moves=extras.frames)
        require(seen[kind] <= _AT_MOST.get(kind, seen[kind]), f"it holds {kind!r} more than {_AT_MOST.get(kind)} times")
        if kind not in _NEEDED:
            _check_extra(kind, data[offset + 8 : offset + 8 + length], extras)
        checksum = number(data, ">I", offset + 8 + length)
        require(zlib.crc32(data[offset + 4 : offset + 8 + length]) == checksum, f"the checksum of {kind!r} is wrong")
        if kind == b"IDAT":
            pixels.append(memoryview(data)[offset + 8 : offset + 8 + length])
        offset += 12 + length
    require(length == 0, f"its last chunk holds {length} bytes")
    require(offset == len(data), f"{len(data) - offset} bytes follow its end")
    _check_pixels(pixels, _bytes_unpacked(data))


def _check_extra(kind: bytes, body: bytes, extras: Extras) -> None:
    """Raise Impure for a chunk that a picture does not need, unless it is one that is allowed."""
    text = _TEXT.fullmatch(body) if kind == b"iTXt" else None
    if kind in _FRAMES:
        extras.require_frames(kind)
    elif extras.profile and kind == b"iCCP":
        extras.require_profile(_unpacked(body.partition(b"\0")[2][1:]))
    elif extras.credit and kind == b"eXIf":
        extras.require_exif(body)
    elif text and text[1] == XMP_KEYWORD:
        extras.require_packet(text[2])
    else:
        credited = extras.credit and text is not None and text[1] in KEYWORDS
        require(credited, f"it holds a chunk {kind!r} of {len(body)} bytes")


def _unpacked(packed: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(packed, 1 << 22)
    except zlib.error as problem:
        raise Impure(f"its profile cannot be unpacked: {problem}") from problem
    require(stream.eof and not stream.unused_data, "its profile does not end with its chunk")
    return unpacked


def _bytes_unpacked(data: bytes) -> int:
    """Return how many bytes the pixels take: each row rounded up, and a byte for its filter before it."""
    width, height = number(data, ">I", 16), number(data, ">I", 20)
    depth, colour, interlaced = data[24], data[25], data[28]
    require(not interlaced, "it is interlaced")
    return height * (1 + (width * depth * _CHANNELS[colour] + 7) // 8)


def _check_pixels(pieces: Sequence[memoryview], size: int) -> None:
    """Raise Impure unless the compressed data unpack to this many bytes, and end there."""
    stream, unpacked = zlib.decompressobj(), 0
    for piece in pieces:
        for start in range(0, len(piece), _PIECE):
            require(not stream.eof, "more follows its pixels")
            for length in _lengths(stream, piece[start : start + _PIECE]):
                unpacked += length
                require(unpacked <= size, f"its pixels are more than {size} bytes")
    require(unpacked == size, f"its pixels are fewer than {size} bytes")
    require(stream.eof and not stream.unused_data, "more follows its pixels")


def _lengths(stream: zlib._Decompress, piece: bytes | memoryview) -> Iterator[int]:
    """Yield how many bytes a piece unpacks to, in parts: the largest picture takes a gigabyte."""
    length = _AT_ONCE
    while piece or length == _AT_ONCE:  # what is taken in need not all have been given out
        try:
            length = len(stream.decompress(piece, _AT_ONCE))
        except zlib.error as problem:
            require(False, f"its pixels cannot be unpacked: {problem}")
        yield length
        piece = stream.unconsumed_tail
