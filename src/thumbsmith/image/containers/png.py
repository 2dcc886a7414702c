"""PNG and APNG: the header, the chunks, and the output check. W3C PNG, third edition."""

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
from thumbsmith.image.containers.checks import (
    CREDIT_KEYWORDS,
    XMP_KEYWORD,
    Extras,
    OutputError,
    read_number,
    require,
    require_few_parts,
)

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

# Offset and length of the fields of the image header, IHDR, which is always the first chunk.
HEADER: Final = (16, 13)
AFTER_HEADER: Final = len(SIGNATURE) + 12 + 13

INDEXED: Final = 3
MAX_PALETTE_COLORS: Final = 256

# Color type: (channels, bit depths). Table 11.1 of the specification.
_COLOR_TYPES: Final = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    INDEXED: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
_COLOR_TYPES_WITH_ALPHA: Final = (4, 6)

# Starts and steps of the passes of an interlaced image: x, y, dx, dy (section 8.1).
_PASSES: Final = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))

# Bytes of a transparent color, by color type.
_TRANSPARENT_COLOR_BYTES: Final = {0: 2, 2: 6}

# Chunks about color, and the layout of their numbers.
_COLOR_CHUNKS: Final = {b"cICP": "4B", b"sRGB": "B", b"gAMA": ">I", b"cHRM": ">8I"}
_MAX_RENDERING_INTENT: Final = 3
_UNSPECIFIED: Final = (2, 2)  # color primaries and transfer characteristics in cICP

_APPLE_CHUNK: Final = b"CgBI"
_ACTL_BYTES: Final = 8
_MAX_LENGTH: Final = 2**31 - 1
_MAX_CHUNKS: Final = 4_096


def read(data: Window) -> Probe:
    """Return what a PNG says before its image data. Raises Rejected for a broken header, ShortRead.

    `frames` is what acTL announces. Whether the animation has them is found when they are decoded.
    """
    width, height, depth, color_type, interlaced = _read_header(data)
    orientation, transparent, palette = 1, color_type in _COLOR_TYPES_WITH_ALPHA, 0
    announced, has_frame_control = 0, False
    colors: dict[bytes, tuple[int, ...]] = {}
    for kind, body in chunks(data):
        if kind == b"IDAT":
            break
        if kind == b"IEND":
            raise Rejected(Code.CORRUPT, "the PNG ends without image data")
        if kind == b"PLTE" and not palette:
            palette = body.size // 3
        elif kind == b"tRNS":
            transparent |= is_transparency(body, color_type, palette)
        elif kind == b"acTL" and body.size >= _ACTL_BYTES:
            (announced,) = body.unpack(">I", 0)
        elif kind == b"fcTL":
            _check_frame(body, width, height)
            has_frame_control = True
        elif kind == b"eXIf" and is_intact(kind, body):
            orientation = exif.orientation(body)
        elif kind in _COLOR_CHUNKS and kind not in colors:
            colors |= _read_color_chunk(kind, body)
    hidden = announced > 0 and not has_frame_control
    primaries, transfer = colors.get(b"cICP", (0, 0))[:2]
    has_code_points = (primaries, transfer) not in ((0, 0), _UNSPECIFIED)
    has_gamma = not has_code_points and b"sRGB" not in colors
    return Probe(
        format="png",
        bytes=data.size,
        width=width,
        height=height,
        orientation=orientation,
        frames=max(1, announced),
        channels=_COLOR_TYPES[color_type][0],
        depth=depth,
        alpha=transparent or hidden,
        hidden=hidden,
        primaries=primaries if has_code_points else 0,
        transfer=transfer if has_code_points else 0,
        gamma=colors.get(b"gAMA", (0,))[0] if has_gamma else 0,
        chromaticities=_hexadecimal(colors.get(b"cHRM", ())) if has_gamma else "",
        interlaced=interlaced,
    )


def chunks(data: Window) -> Iterator[tuple[bytes, Window]]:
    """Yield the type and the body of every chunk after the image header. Raises Rejected(corrupt), ShortRead."""
    offset = AFTER_HEADER
    for _ in range(_MAX_CHUNKS):
        length, kind = data.unpack(">I", offset)[0], data.read(offset + 4, 4)
        if length > _MAX_LENGTH or not kind.isalpha():
            raise Rejected(Code.CORRUPT, f"there is no PNG chunk at byte {offset}")
        yield kind, data.window(offset + 8, length)
        offset += 12 + length
    raise Rejected(Code.CORRUPT, f"the PNG has {_MAX_CHUNKS} chunks and no image data")


def _read_header(data: Window) -> tuple[int, int, int, int, bool]:
    """Return width, height, bit depth, color type and whether the image is interlaced."""
    first = len(SIGNATURE)
    length, checksum = data.unpack(">I", first)[0], data.unpack(">I", AFTER_HEADER - 4)[0]
    chunk = data.read(first + 4, 4 + 13)
    if chunk.startswith(_APPLE_CHUNK):
        raise Rejected(Code.UNSUPPORTED_FORMAT, "a PNG that Xcode rewrote for iPhones (CgBI) is not supported")
    if length != 13 or not chunk.startswith(b"IHDR") or zlib.crc32(chunk) != checksum:
        raise Rejected(Code.CORRUPT, "the PNG does not begin with an intact image header")
    width, height, depth, color_type, compression, filtering, interlace = data.unpack(">IIBBBBB", HEADER[0])
    if not (0 < width <= _MAX_LENGTH and 0 < height <= _MAX_LENGTH):
        raise Rejected(Code.CORRUPT, f"the PNG claims to be {width} x {height}")
    known = color_type in _COLOR_TYPES and depth in _COLOR_TYPES[color_type][1]
    if not known or compression or filtering or interlace > 1:
        raise Rejected(Code.CORRUPT, "the PNG's image header has values that no PNG can have")
    return width, height, depth, color_type, bool(interlace)


def _check_frame(body: Window, width: int, height: int) -> None:
    """Reject the first frame of an animation if it reaches outside of the image."""
    frame_width, frame_height, left, top = body.unpack(">IIII", 4)
    if left + frame_width > width or top + frame_height > height:
        what = f"{left + frame_width} x {top + frame_height}"
        raise Rejected(Code.CORRUPT, f"a frame of the PNG reaches to {what}, beyond its picture")


def _read_color_chunk(kind: bytes, body: Window) -> dict[bytes, tuple[int, ...]]:
    """Return the numbers of a chunk about color, nothing if it is damaged or has an impossible value."""
    layout = _COLOR_CHUNKS[kind]
    if body.size != struct.calcsize(layout) or not is_intact(kind, body):
        return {}
    numbers = body.unpack(layout, 0)
    return {} if kind == b"sRGB" and numbers[0] > _MAX_RENDERING_INTENT else {kind: numbers}


def _hexadecimal(numbers: tuple[int, ...]) -> str:
    return struct.pack(f">{len(numbers)}I", *numbers).hex()


def is_intact(kind: bytes, body: Window) -> bool:
    """Return whether the checksum of a chunk is right. Reads the whole chunk. Raises ShortRead."""
    block, begin = body.buffer.locate(body.start, body.size + 4)
    end = begin + body.size
    return zlib.crc32(kind + block[begin:end]) == int.from_bytes(block[end : end + 4])


def is_transparency(body: Window, color_type: int, palette: int) -> bool:
    """Return whether a tRNS chunk is valid after a palette of this many colors, 0 for none. Raises ShortRead."""
    if color_type == INDEXED:
        fits = palette > 0 and 0 < body.size <= MAX_PALETTE_COLORS
    else:
        minimum = _TRANSPARENT_COLOR_BYTES.get(color_type, MAX_PALETTE_COLORS + 1)
        fits = minimum <= body.size <= MAX_PALETTE_COLORS
    return fits and is_intact(b"tRNS", body)


def uncompressed_bytes(header: bytes) -> int:
    """Return the size of the uncompressed data of an image with these header fields.

    Each row is rounded up to whole bytes, and begins with one byte for its filter.
    """
    width, height, depth, color_type, interlaced = struct.unpack(">IIBB2xB", header)
    bits = depth * _COLOR_TYPES[color_type][0]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = ((max(0, -(-(width - x) // dx)), max(0, -(-(height - y) // dy))) for x, y, dx, dy in passes)
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns)


# The output check. It walks the chunks itself, and verifies every checksum: `chunks` tolerates wrong ones.

_PICTURE_CHUNKS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

# How often each chunk may occur: one profile, one EXIF block, texts of author, copyright and XMP.
_MAX_OCCURRENCES: Final = {
    **dict.fromkeys((b"IHDR", b"PLTE", b"tRNS", b"IEND", b"iCCP", b"eXIf", b"acTL"), 1),
    b"iTXt": 3,
}

# Frames after the first, and their control chunks (11.3.6).
_ANIMATION_CHUNKS: Final = frozenset({b"acTL", b"fcTL", b"fdAT"})

# Keyword, no compression, no language, no translation: the only form of text that is written here (11.3.3.4).
_TEXT: Final = re.compile(rb"([^\0]+)\0\0\0\0\0(.*)", re.DOTALL)

_MAX_PROFILE_BYTES: Final = 1 << 22

# Bytes that one call of zlib may return, and may be given: it copies what it does not use each time.
_OUTPUT_BLOCK_BYTES: Final = 1 << 20
_INPUT_BLOCK_BYTES: Final = 1 << 16


def check(data: bytes, extras: Extras) -> None:
    """Raise OutputError for a PNG with more than a picture: texts, profiles, data after its pixels or its end.

    The header, palette, transparency, pixels and the end are allowed, and the extras.
    """
    offset, kind, pixels, seen = len(SIGNATURE), b"", list[memoryview](), Counter[bytes]()
    while kind != b"IEND":
        length, kind = read_number(data, ">I", offset), data[offset + 4 : offset + 8]
        seen[kind] += 1
        require_few_parts(seen.total(), len(data), animated=extras.frames)
        maximum = _MAX_OCCURRENCES.get(kind, seen[kind])
        require(seen[kind] <= maximum, f"it contains {kind!r} more than {maximum} times")
        if kind not in _PICTURE_CHUNKS:
            _check_extra(kind, data[offset + 8 : offset + 8 + length], extras)
        checksum = read_number(data, ">I", offset + 8 + length)
        require(zlib.crc32(data[offset + 4 : offset + 8 + length]) == checksum, f"the checksum of {kind!r} is wrong")
        if kind == b"IDAT":
            pixels.append(memoryview(data)[offset + 8 : offset + 8 + length])
        offset += 12 + length
    require(length == 0, f"its last chunk has {length} bytes")
    require(offset == len(data), f"{len(data) - offset} bytes follow its end")
    require(not data[28], "it is interlaced")
    _check_pixels(pixels, uncompressed_bytes(data[HEADER[0] : sum(HEADER)]))


def _check_extra(kind: bytes, body: bytes, extras: Extras) -> None:
    """Raise OutputError for a chunk that a picture does not need, unless it is an allowed extra."""
    text = _TEXT.fullmatch(body) if kind == b"iTXt" else None
    if kind in _ANIMATION_CHUNKS:
        extras.require_frames(kind)
    elif extras.profile and kind == b"iCCP":
        extras.require_profile(_uncompress_profile(body.partition(b"\0")[2][1:]))
    elif extras.credit and kind == b"eXIf":
        extras.require_exif(body)
    elif text and text[1] == XMP_KEYWORD:
        extras.require_packet(text[2])
    else:
        is_credit = extras.credit and text is not None and text[1] in CREDIT_KEYWORDS
        require(is_credit, f"it contains a chunk {kind!r} of {len(body)} bytes")


def _uncompress_profile(compressed: bytes) -> bytes:
    stream = zlib.decompressobj()
    try:
        profile = stream.decompress(compressed, _MAX_PROFILE_BYTES)
    except zlib.error as problem:
        raise OutputError(f"its profile cannot be uncompressed: {problem}") from problem
    require(stream.eof and not stream.unused_data, "its profile does not end with its chunk")
    return profile


def _check_pixels(parts: Sequence[memoryview], size: int) -> None:
    """Raise OutputError unless the compressed data contain exactly `size` bytes, and end there."""
    stream, found = zlib.decompressobj(), 0
    for part in parts:
        for start in range(0, len(part), _INPUT_BLOCK_BYTES):
            require(not stream.eof, "more data follow its pixels")
            for length in _uncompressed_lengths(stream, part[start : start + _INPUT_BLOCK_BYTES]):
                found += length
                require(found <= size, f"its pixels are more than {size} bytes")
    require(found == size, f"its pixels are fewer than {size} bytes")
    require(stream.eof and not stream.unused_data, "more data follow its pixels")


def _uncompressed_lengths(stream: zlib._Decompress, block: bytes | memoryview) -> Iterator[int]:
    """Yield the number of uncompressed bytes of a block, in steps: the largest picture takes a gigabyte."""
    length = _OUTPUT_BLOCK_BYTES
    while block or length == _OUTPUT_BLOCK_BYTES:  # after a full output zlib may have more without further input
        try:
            length = len(stream.decompress(block, _OUTPUT_BLOCK_BYTES))
        except zlib.error as problem:
            require(False, f"its pixels cannot be uncompressed: {problem}")
        yield length
        block = stream.unconsumed_tail
