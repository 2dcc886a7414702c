"""PNG and APNG: the image header, and what chunks before the first image data tell.

W3C PNG, third edition, sections 5 and 11.

PNG: the header, palette and transparency, the pixels, and the end. W3C PNG, third edition.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import exif
from thumbsmith.image.containers.base import Probe, Window
from thumbsmith.image.containers.checks import KEYWORDS, XMP_KEYWORD, Extras, OutputError, number, require, require_few

# Colour type: (channels, bit depths). Table 11.1 of the specification.
_COLOURS: Final = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    3: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
_WITH_ALPHA: Final = (4, 6)
_INDEXED: Final = 3

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

# Where the fields of the image header are: offset and length.
HEADER: Final = (16, 13)

# Starts and steps of the passes of an interlaced picture: x, y, dx, dy (section 8.1).
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

# Bytes of a transparent color, by color type, and entries of a palette at most.
_CLEAR_BYTES: Final = {0: 2, 2: 6}
_PALETTE: Final = 256

# Chunks that say what colours mean, and what they hold. A rendering intent is 0 to 3, 2 is "unspecified" in cICP.
_COLOUR_CHUNKS: Final = {b"cICP": "4B", b"sRGB": "B", b"gAMA": ">I", b"cHRM": ">8I"}
_FOR_IPHONES: Final = b"CgBI"
_LAST_INTENT: Final = 3
_UNSPECIFIED: Final = 2

_ACTL_BYTES: Final = 8
_FIRST_CHUNK: Final = 8
_AFTER_HEADER: Final = _FIRST_CHUNK + 12 + 13
_MAX_LENGTH: Final = 2**31 - 1
_MAX_CHUNKS: Final = 4_096


def read(data: Window) -> Probe:
    """Return what a PNG says before its image data. Raises Rejected(corrupt) for a broken header, ShortRead.

    `frames` is what acTL announces; whether the animation has them is found when they are decoded.
    """
    width, height, depth, colour, interlaced = _header(data)
    orientation, transparent, palette = 1, colour in _WITH_ALPHA, 0
    announced, controlled = 0, False
    told: dict[bytes, tuple[int, ...]] = {}
    for kind, body in chunks(data):
        if kind == b"IDAT":
            break
        if kind == b"IEND":
            raise Rejected(Code.CORRUPT, "the PNG ends without image data")
        if kind == b"PLTE" and not palette:
            palette = body.size // 3
        elif kind == b"tRNS":
            transparent |= is_transparency(body, colour, palette)
        elif kind == b"acTL" and body.size >= _ACTL_BYTES:
            (announced,) = body.unpack(">I", 0)
        elif kind == b"fcTL":
            _check_frame(body, width, height)
            controlled = True
        elif kind == b"eXIf" and is_intact(kind, body):
            orientation = exif.orientation(body)
        elif kind in _COLOUR_CHUNKS and kind not in told:
            told |= _told(kind, body)
    hidden = announced > 0 and not controlled
    primaries, transfer = told.get(b"cICP", (0, 0))[:2]
    by_numbers = (primaries, transfer) not in ((0, 0), (_UNSPECIFIED, _UNSPECIFIED))
    by_gamma = not by_numbers and b"sRGB" not in told
    return Probe(
        format="png",
        bytes=data.size,
        width=width,
        height=height,
        orientation=orientation,
        frames=max(1, announced),
        channels=_COLOURS[colour][0],
        depth=depth,
        alpha=transparent or hidden,
        hidden=hidden,
        primaries=primaries if by_numbers else 0,
        transfer=transfer if by_numbers else 0,
        gamma=told.get(b"gAMA", (0,))[0] if by_gamma else 0,
        chromaticities=_hexadecimal(told.get(b"cHRM", ())) if by_gamma else "",
        interlaced=interlaced,
    )


def _hexadecimal(numbers: tuple[int, ...]) -> str:
    return struct.pack(f">{len(numbers)}I", *numbers).hex()


def _told(kind: bytes, body: Window) -> dict[bytes, tuple[int, ...]]:
    """Return the numbers of a chunk on colours, nothing where it is damaged or none can be meant."""
    layout = _COLOUR_CHUNKS[kind]
    if body.size != struct.calcsize(layout) or not is_intact(kind, body):
        return {}
    numbers = body.unpack(layout, 0)
    return {} if kind == b"sRGB" and numbers[0] > _LAST_INTENT else {kind: numbers}


def _header(data: Window) -> tuple[int, int, int, int, bool]:
    """Return width, height, bit depth, colour type and whether the picture is interlaced."""
    length, checksum = data.unpack(">I", _FIRST_CHUNK)[0], data.unpack(">I", _AFTER_HEADER - 4)[0]
    chunk = data.read(_FIRST_CHUNK + 4, 4 + 13)
    if chunk.startswith(_FOR_IPHONES):
        raise Rejected(
            Code.UNSUPPORTED_FORMAT, "this is a PNG that Xcode rewrote for iPhones (CgBI), which is not read here"
        )
    if length != 13 or not chunk.startswith(b"IHDR") or zlib.crc32(chunk) != checksum:
        raise Rejected(Code.CORRUPT, "the PNG does not begin with a sound image header")
    width, height, depth, colour, compression, filtering, interlace = data.unpack(">IIBBBBB", _FIRST_CHUNK + 8)
    if not (0 < width <= _MAX_LENGTH and 0 < height <= _MAX_LENGTH):
        raise Rejected(Code.CORRUPT, f"the PNG claims to be {width} x {height}")
    if colour not in _COLOURS or depth not in _COLOURS[colour][1] or compression or filtering or interlace > 1:
        raise Rejected(Code.CORRUPT, "the PNG's image header holds values that no PNG can have")
    return width, height, depth, colour, bool(interlace)


def is_intact(kind: bytes, body: Window) -> bool:
    """Return whether a chunk, which is read for it, has the checksum that it says. Raises ShortRead."""
    checked = body.buffer.locate(body.start, body.size + 4)
    content, begin = checked
    stored = content[begin + body.size : begin + body.size + 4]
    return zlib.crc32(kind + content[begin : begin + body.size]) == int.from_bytes(stored)


def is_transparency(body: Window, colour: int, palette: int) -> bool:
    """Return whether a tRNS chunk is of use after a palette of this many entries, 0 for none. Raises ShortRead."""
    if colour == _INDEXED:
        fits = palette > 0 and 0 < body.size <= _PALETTE
    else:
        fits = body.size >= _CLEAR_BYTES.get(colour, _PALETTE + 1) and body.size <= _PALETTE
    return fits and is_intact(b"tRNS", body)


def unpacked_bytes(header: bytes) -> int:
    """Return how many bytes the data of a picture with these header fields unpack to; each row begins with one more."""
    width, height, depth, colour, interlaced = struct.unpack(">IIBB2xB", header)
    bits = depth * _COLOURS[colour][0]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = ((max(0, -(-(width - x) // dx)), max(0, -(-(height - y) // dy))) for x, y, dx, dy in passes)
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns)


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
    """Raise OutputError for a PNG that holds more than a picture: texts, profiles, data after its pixels or its end."""
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
    """Raise OutputError for a chunk that a picture does not need, unless it is one that is allowed."""
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
        raise OutputError(f"its profile cannot be unpacked: {problem}") from problem
    require(stream.eof and not stream.unused_data, "its profile does not end with its chunk")
    return unpacked


def _bytes_unpacked(data: bytes) -> int:
    """Return how many bytes the pixels take: each row rounded up, and a byte for its filter before it."""
    width, height = number(data, ">I", 16), number(data, ">I", 20)
    depth, colour, interlaced = data[24], data[25], data[28]
    require(not interlaced, "it is interlaced")
    return height * (1 + (width * depth * _CHANNELS[colour] + 7) // 8)


def _check_pixels(pieces: Sequence[memoryview], size: int) -> None:
    """Raise OutputError unless the compressed data unpack to this many bytes, and end there."""
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
