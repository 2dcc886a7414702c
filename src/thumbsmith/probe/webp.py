"""WebP: lossy, lossless and extended, with the frames of an animation.

RFC 9649 for the container and VP8L, RFC 6386 section 9.1 for VP8.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe import exif
from thumbsmith.probe.types import MAX_FRAMES, Probe
from thumbsmith.probe.window import Window

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
