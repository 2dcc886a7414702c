"""WebP: the header, the chunks, and the output check.

RFC 9649 for the container and for VP8L, RFC 6386, section 9.1, for VP8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import exif
from thumbsmith.image.containers.base import MAX_FRAMES, Probe, Window
from thumbsmith.image.containers.checks import Extras, read_number, require, require_few_parts

FIRST_CHUNK: Final = 12  # offset: after "RIFF", the size and "WEBP"
CHUNK_HEADER_BYTES: Final = 8

# Flags of the extended header, VP8X (2.7.1).
ANIMATION_FLAG, XMP_FLAG, EXIF_FLAG, ALPHA_FLAG, PROFILE_FLAG = 0x02, 0x04, 0x08, 0x10, 0x20
EXTENDED_HEADER_BYTES: Final = 10

_PICTURE_CHUNKS: Final = (b"VP8 ", b"VP8L")
_FRAME_HEADER_BYTES: Final = 16

# Chunks that must be complete: if one of them is cut, a part of the picture is missing.
_REQUIRED_CHUNKS: Final = (*_PICTURE_CHUNKS, b"ALPH", b"ANMF")

# Every frame, a profile, EXIF, XMP and some unknown chunks.
_MAX_CHUNKS: Final = MAX_FRAMES + 1_000


class Chunk(NamedTuple):
    """A chunk: its type, where its header begins, and the length of its body, which the file may not contain."""

    kind: bytes
    offset: int
    length: int

    @property
    def body_offset(self) -> int:
        """Return where the body begins."""
        return self.offset + CHUNK_HEADER_BYTES

    @property
    def end(self) -> int:
        """Return where the body ends, without its padding to an even length."""
        return self.body_offset + self.length


def read(data: Window) -> Probe:
    """Return what a WebP says. Raises Rejected for a broken header, ShortRead for one that is cut before its picture.

    The size is that of the canvas. A frame that does not fit into it is corrupt, as it is for libwebp. If the RIFF size
    is beyond the end of the file, only the existing bytes count; the decoder finds out whether the picture is complete.
    `frames` counts up to MAX_FRAMES. `alpha` is set if the extended header says so, if a picture has it, or if the
    first frame leaves a part of the canvas free. VP8L may have alpha although it says no: only its decoder can tell.
    """
    riff = data.window(0, 8 + data.unpack("<I", 4)[0])
    kind, body = riff.read(FIRST_CHUNK, 4), riff.window(FIRST_CHUNK + CHUNK_HEADER_BYTES)
    if kind == b"VP8X":
        return _read_extended(riff, body)
    if kind == b"VP8L":
        width, height, alpha = _read_lossless(body)
    elif kind == b"VP8 ":
        width, height, alpha = *_read_lossy(body), False
    else:
        raise Rejected(Code.CORRUPT, "the WebP does not begin with a picture")
    return Probe(format="webp", bytes=data.size, width=width, height=height, channels=3 + alpha, alpha=alpha)


def chunks(data: Window) -> Iterator[Chunk]:
    """Yield the chunks of a RIFF file, as far as it contains their headers."""
    offset = FIRST_CHUNK
    for _ in range(_MAX_CHUNKS):
        if offset + CHUNK_HEADER_BYTES > data.size:
            return
        chunk = Chunk(data.read(offset, 4), offset, data.unpack("<I", offset + 4)[0])
        yield chunk
        offset = chunk.end + (chunk.length & 1)


def _read_extended(riff: Window, body: Window) -> Probe:
    flags = body.byte(0)
    sides = body.read(4, 6)
    width, height = int.from_bytes(sides[:3], "little") + 1, int.from_bytes(sides[3:], "little") + 1
    frames, orientation, alpha = 0, 1, bool(flags & ALPHA_FLAG)
    riff.buffer.expect_walk()
    for kind, chunk in _complete_chunks(riff):
        if kind == b"ANMF":
            frame = _read_frame(chunk, width, height)
            alpha = alpha or (not frames and frame != (width, height)) or _frame_has_alpha(chunk)
            frames += 1
        elif kind == b"EXIF" and flags & EXIF_FLAG:
            orientation = exif.orientation(chunk)
        elif kind == b"VP8L":  # for a lossy still image the extended header decides, as in browsers
            alpha |= _read_lossless(chunk)[2]
        if frames == MAX_FRAMES or (kind in _PICTURE_CHUNKS and not flags & EXIF_FLAG):
            break
    return Probe(
        format="webp",
        bytes=riff.buffer.size,
        width=width,
        height=height,
        orientation=orientation,
        frames=max(1, frames) if flags & ANIMATION_FLAG else 1,
        channels=3 + alpha,
        alpha=alpha,
    )


def _complete_chunks(riff: Window) -> Iterator[tuple[bytes, Window]]:
    """Yield type and body of every chunk. Raises ShortRead or Rejected(corrupt) for a cut part of the picture."""
    for chunk in chunks(riff):
        if chunk.kind in _REQUIRED_CHUNKS:
            riff.require(chunk.body_offset, chunk.length)
        yield chunk.kind, riff.window(chunk.body_offset, chunk.length)


def _read_frame(chunk: Window, width: int, height: int) -> tuple[int, int]:
    """Return width and height of a frame. Raises Rejected(corrupt) if it reaches outside of the canvas.

    Its position is stored in steps of two pixels, its sides less one.
    """
    left, top, frame_width, frame_height = (int.from_bytes(chunk.read(at, 3), "little") for at in (0, 3, 6, 9))
    right, bottom = 2 * left + frame_width + 1, 2 * top + frame_height + 1
    if right > width or bottom > height:
        raise Rejected(Code.CORRUPT, f"a frame of the WebP reaches to {right} x {bottom}, beyond its canvas")
    return frame_width + 1, frame_height + 1


def _frame_has_alpha(frame: Window) -> bool:
    kind = frame.read(_FRAME_HEADER_BYTES, 4)
    picture = frame.window(_FRAME_HEADER_BYTES + CHUNK_HEADER_BYTES)
    return kind == b"ALPH" or (kind == b"VP8L" and _read_lossless(picture)[2])


def _read_lossless(body: Window) -> tuple[int, int, bool]:
    """Return width, height and the alpha hint of VP8L."""
    signature, bits = body.unpack("<BI", 0)
    if signature != 0x2F or bits >> 29:
        raise Rejected(Code.CORRUPT, "the lossless WebP has no intact header")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)


def _read_lossy(body: Window) -> tuple[int, int]:
    """Return width and height of VP8."""
    width, height = body.unpack("<HH", 6)
    width, height = width & 0x3FFF, height & 0x3FFF
    if body.byte(0) & 1 or body.read(3, 3) != b"\x9d\x01\x2a" or not (width and height):
        raise Rejected(Code.CORRUPT, "the lossy WebP does not begin with a key frame")
    return width, height


def lossless_pictures(data: Window, frames: int) -> Iterator[int]:
    """Yield where the data of each lossless picture of a WebP begin: a still picture, or the first `frames` frames.

    Raises ShortRead.
    """
    if data.read(FIRST_CHUNK, 4) == b"VP8L":
        yield FIRST_CHUNK + CHUNK_HEADER_BYTES
    if data.read(FIRST_CHUNK, 4) != b"VP8X":
        return
    walked = 0
    for kind, chunk in _complete_chunks(data):
        if kind == b"VP8L":
            yield chunk.start
        elif kind == b"ANMF":
            if chunk.read(_FRAME_HEADER_BYTES, 4) == b"VP8L":
                yield chunk.start + _FRAME_HEADER_BYTES + CHUNK_HEADER_BYTES
            walked += 1
            if walked == frames:
                return


# The output check. It walks the chunks itself, in bytes that are complete.

# The chunks of a still picture, without the extras.
STILL_LAYOUTS: Final = ([b"VP8 "], [b"VP8L"], [b"VP8X", b"VP8L"], [b"VP8X", b"VP8 "], [b"VP8X", b"ALPH", b"VP8 "])


def check(data: bytes, extras: Extras) -> None:
    """Raise OutputError for a WebP with more than a picture: EXIF, XMP, a profile, frames, data after it.

    One picture, with alpha or without, is allowed, and the extras.
    """
    require(8 + read_number(data, "<I", 4) == len(data), "its size is not that of the file")
    offset, kinds, seen = FIRST_CHUNK, list[bytes](), Counter[bytes]()
    while offset < len(data):
        require_few_parts(seen.total(), len(data), animated=extras.frames)
        kind, length = data[offset : offset + 4], read_number(data, "<I", offset + 4)
        seen[kind] += 1
        require(seen[kind] == 1 or kind == b"ANMF", f"it contains {kind!r} more than once")
        body = offset + CHUNK_HEADER_BYTES
        end = body + length
        require(end <= len(data), f"its chunk {kind!r} ends beyond it")
        if kind == b"VP8X":
            flags = read_number(data, "<I", body)
            allowed = length == EXTENDED_HEADER_BYTES and not flags & ~_allowed_flags(extras)
            require(allowed, "its header announces more than a picture")
        if length & 1:
            require(read_number(data, "B", end) == 0, "its padding is not zero")
        if not _is_extra(kind, data[body:end], extras):
            kinds.append(kind)
        offset = end + (length & 1)
    animated = extras.frames and kinds == [b"VP8X"]
    require(animated or kinds in STILL_LAYOUTS, f"it contains the chunks {kinds}")


def _allowed_flags(extras: Extras) -> int:
    return (
        ALPHA_FLAG
        | PROFILE_FLAG * extras.profile
        | (EXIF_FLAG | XMP_FLAG) * extras.credit
        | ANIMATION_FLAG * extras.frames
    )


def _is_extra(kind: bytes, body: bytes, extras: Extras) -> bool:
    """Return whether a chunk is an allowed extra. Raises OutputError if its content is not allowed."""
    if extras.profile and kind == b"ICCP":
        extras.require_profile(body)
    elif extras.credit and kind == b"EXIF":
        extras.require_exif(body.removeprefix(b"Exif\0\0"))
    elif extras.credit and kind == b"XMP ":
        extras.require_packet(body)
    else:
        return extras.frames and kind in (b"ANIM", b"ANMF")
    return True
