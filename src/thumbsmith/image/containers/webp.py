"""WebP: lossy, lossless and extended, with the frames of an animation.

RFC 9649 for the container and VP8L, RFC 6386 section 9.1 for VP8.

WebP: one picture, with alpha where there is some. RFC 9649.

WebP without what is wrong around its picture: a size or flags that do not fit, metadata that is cut.

RFC 9649. libwebp takes a file whose RIFF size is beyond its end for one that is still on its way.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import exif
from thumbsmith.image.containers.base import MAX_FRAMES, Probe, ShortRead, Window
from thumbsmith.image.containers.checks import Extras, number, require, require_few
from thumbsmith.image.stream import Part, Patched, Spliced
from thumbsmith.reader import RangeReader

_ANIMATION, _EXIF, _ALPHA = 0x02, 0x08, 0x10
_PICTURES: Final = (b"VP8 ", b"VP8L")
_FRAME_HEADER: Final = 16

# Chunks that must be whole: a picture lacks something if one of them is cut.
_NEEDED: Final = (*_PICTURES, b"ALPH", b"ANMF")

# A profile, texts and EXIF, and what nobody knows.
_MAX_CHUNKS: Final = MAX_FRAMES + 1_000


def read(data: Window) -> Probe:
    """Return what a WebP says. Raises Rejected for a broken header, ShortRead for one that is cut before its picture.

    The size is that of the canvas. A frame that does not fit it is corrupt, as it is to libwebp. Of a RIFF size beyond
    the file only what is there counts; whether that is all of the picture is for the decoder to find. `frames` counts
    to MAX_FRAMES. There is alpha where the extended header says so, and also where a picture has it, or the first frame
    leaves a part of the canvas free. VP8L may have alpha although it says no: only its decoder knows.
    """
    riff = data.window(0, 8 + data.unpack("<I", 4)[0])
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
    width, height = int.from_bytes(sides[:3], "little") + 1, int.from_bytes(sides[3:], "little") + 1
    frames, orientation, alpha = 0, 1, bool(flags & _ALPHA)
    riff.buffer.expect_walk()
    for kind, chunk in _chunks(riff):
        if kind == b"ANMF":
            frame = _check_frame(chunk, width, height)
            alpha = alpha or (not frames and frame != (width, height)) or _frame_has_alpha(chunk)
            frames += 1
        elif kind == b"EXIF" and flags & _EXIF:
            orientation = exif.orientation(chunk)
        elif kind == b"VP8L":  # of a lossy still, what the extended header says decides, as in browsers
            alpha |= _lossless(chunk)[2]
        if frames == MAX_FRAMES or (kind in _PICTURES and not flags & _EXIF):
            break
    return Probe(
        format="webp",
        bytes=riff.buffer.size,
        width=width,
        height=height,
        orientation=orientation,
        frames=max(1, frames) if flags & _ANIMATION else 1,
        channels=3 + alpha,
        alpha=alpha,
    )


def lossless_pictures(riff: Window) -> Iterator[int]:
    """Yield where in a WebP the data of each lossless picture begin, those of frames too. Raises ShortRead."""
    if riff.read(12, 4) == b"VP8L":
        yield 20
    if riff.read(12, 4) != b"VP8X":
        return
    for kind, chunk in _chunks(riff):
        if kind == b"VP8L":
            yield chunk.start
        elif kind == b"ANMF" and chunk.read(_FRAME_HEADER, 4) == b"VP8L":
            yield chunk.start + _FRAME_HEADER + 8


def _frame_has_alpha(frame: Window) -> bool:
    kind = frame.read(_FRAME_HEADER, 4)
    return kind == b"ALPH" or (kind == b"VP8L" and _lossless(frame.window(_FRAME_HEADER + 8))[2])


def _check_frame(chunk: Window, width: int, height: int) -> tuple[int, int]:
    """Return the sides of a frame, and reject one that lies outside of the canvas.

    Its place counts in steps of two pixels, its sides from one.
    """
    numbers = [int.from_bytes(chunk.read(offset, 3), "little") for offset in (0, 3, 6, 9)]
    right, bottom = 2 * numbers[0] + numbers[2] + 1, 2 * numbers[1] + numbers[3] + 1
    if right > width or bottom > height:
        raise Rejected(Code.CORRUPT, f"a frame of the WebP reaches to {right} x {bottom}, beyond its canvas")
    return numbers[2] + 1, numbers[3] + 1


def _chunks(riff: Window) -> Iterator[tuple[bytes, Window]]:
    """Yield the type and the body of every chunk after the first, VP8X."""
    offset = 12
    for _ in range(_MAX_CHUNKS):
        offset += 8 + _padded(riff, offset)
        if offset + 8 > riff.size:
            return
        kind, (length,) = riff.read(offset, 4), riff.unpack("<I", offset + 4)
        if kind in _NEEDED:
            riff.require(offset + 8, length)
        yield kind, riff.window(offset + 8, length)


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


# Flags of the extended header: a profile, alpha, EXIF, XMP, an animation (2.7.1).
_PROFILE, _ALPHA_FLAG, _EXIF_FLAG, _XMP, _MOVES = 0x20, 0x10, 0x08, 0x04, 0x02
_LAYOUTS: Final = ([b"VP8 "], [b"VP8L"], [b"VP8X", b"VP8L"], [b"VP8X", b"VP8 "], [b"VP8X", b"ALPH", b"VP8 "])


def check(data: bytes, extras: Extras) -> None:
    """Raise OutputError for a WebP that holds more than one picture: EXIF, XMP, a profile, frames, data after it."""
    require(8 + number(data, "<I", 4) == len(data), "its size is not what it says")
    offset, kinds, seen = 12, list[bytes](), Counter[bytes]()
    while offset < len(data):
        require_few(seen.total(), len(data), moves=extras.frames)
        kind, length = data[offset : offset + 4], number(data, "<I", offset + 4)
        seen[kind] += 1
        require(seen[kind] == 1 or kind == b"ANMF", f"it holds {kind!r} more than once")
        end = offset + 8 + length
        require(end <= len(data), f"its chunk {kind!r} ends beyond it")
        if kind == b"VP8X":
            flags = number(data, "<I", offset + 8)
            require(length == 10 and not flags & ~_allowed(extras), "it announces more than a picture")
        if length & 1:
            require(number(data, "B", end) == 0, "the padding is not empty")
        if not _is_extra(kind, data[offset + 8 : end], extras):
            kinds.append(kind)
        offset = end + (length & 1)
    moves = extras.frames and kinds == [b"VP8X"]
    require(moves or kinds in _LAYOUTS, f"it holds the chunks {kinds}")


def _allowed(extras: Extras) -> int:
    return _ALPHA_FLAG | _PROFILE * extras.profile | (_EXIF_FLAG | _XMP) * extras.credit | _MOVES * extras.frames


def _is_extra(kind: bytes, body: bytes, extras: Extras) -> bool:
    """Return whether a chunk is one that is allowed besides the picture. Raises OutputError for other content."""
    if extras.profile and kind == b"ICCP":
        extras.require_profile(body)
    elif extras.credit and kind == b"EXIF":
        extras.require_exif(body.removeprefix(b"Exif\0\0"))
    elif extras.credit and kind == b"XMP ":
        extras.require_packet(body)
    else:
        return extras.frames and kind in (b"ANIM", b"ANMF")
    return True


_FIRST_CHUNK: Final = 12
_HEADER: Final = 8

# What a picture is made of, and the flags of the extended header that speak of other chunks: ICC profile, EXIF, XMP.
_PICTURE_CHUNKS: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
_PROFILE_FLAG: Final = 0x20
_ALPHA_AND_ANIMATION: Final = 0x12

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
        elif kind in _PICTURE_CHUNKS or (kind == b"ICCP" and not profile):
            if end > data.size:
                raise Rejected(Code.TRUNCATED, "the WebP ends before its picture does")
            parts += [(offset, end), bytes(length & 1)]
            profile |= kind == b"ICCP"
        offset = end + (length & 1)
    if extended:
        flags = (extended[_HEADER] & _ALPHA_AND_ANIMATION) | (_PROFILE_FLAG if profile else 0)
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
