"""The frames of a GIF or PNG as the file holds them: each cut out as a file of its own, for the decoder of stills.

Pillow's own way of laying frames over one another differs from the specifications: half-transparent parts of a PNG are
laid on too thinly, and what a GIF leaves free gets a colour.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.geometry import Size
from thumbsmith.probe import gif, png
from thumbsmith.probe.window import Window

# Bytes of a GIF before its colour table.
GIF_HEADER: Final = 13

# A delay of n / 0 seconds in a PNG is n / 100 (third edition, 11.3.6.2).
HUNDREDTHS: Final = 100


class Disposal(Enum):
    """What becomes of a frame before the next one is laid on."""

    LEAVE = auto()
    CLEAR = auto()
    RESTORE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One frame: a still picture's file, of `size`, laid at a position; `over` what is there, or in its place."""

    file: bytes
    left: int
    top: int
    size: Size
    duration: float  # milliseconds
    disposal: Disposal
    over: bool = True


def gif_patches(data: Window) -> Iterator[Patch]:
    """Yield the frames of a GIF (GIF89a, 20 and 23). Raises ShortRead where the last is not all there."""
    packed = data.byte(10)
    head = data.read(0, GIF_HEADER + gif.color_table(packed))
    for control, image in gif.frames(data):
        flags, delay, clear = control.unpack("<BHB", 0) if control else (0, 0, 0)
        left, top, width, height = image.unpack("<HHHH", 0)
        screen = head[:6] + struct.pack("<HH", width, height) + head[10:]
        extension = b"!\xf9\x04" + struct.pack("<BHB", flags & 1, 0, clear) + b"\0"
        descriptor = struct.pack("<HHHH", 0, 0, width, height) + image.read(8, image.size - 8)
        yield Patch(
            file=screen + extension + b"," + descriptor + b";",
            left=left,
            top=top,
            size=(width, height),
            duration=delay * 10,
            disposal={2: Disposal.CLEAR, 3: Disposal.RESTORE}.get(flags >> 2 & 7, Disposal.LEAVE),
        )


@dataclass(slots=True)
class _Frame:
    """A frame of a PNG while its data is gathered: what fcTL says, and IDAT or fdAT hold."""

    control: tuple[int, ...]
    data: bytearray


def png_patches(data: Window) -> Iterator[Patch]:
    """Yield the frames of an animated PNG (third edition, 11.3.6). A picture before them that is none is left out."""
    header = data.read(16, 13)
    palette, frame, seen = b"", None, 0
    for kind, body in png.chunks(data):
        if kind in (b"PLTE", b"tRNS") and not seen:
            palette += _chunk(kind, body.read(0, body.size))
        elif kind == b"fcTL":
            if frame:
                yield _png_patch(frame, header, palette)
            seen += 1
            frame = _Frame(body.unpack(">IIIIHHBB", 4), bytearray())
        elif frame and kind in (b"IDAT", b"fdAT"):
            start = 4 if kind == b"fdAT" else 0
            frame.data += body.read(start, body.size - start)
        elif kind == b"IEND":
            break
    if frame:
        yield _png_patch(frame, header, palette)


def _png_patch(frame: _Frame, header: bytes, palette: bytes) -> Patch:
    width, height, left, top, delay, part, disposal, blend = frame.control
    if not (width and height):
        raise Rejected(Code.CORRUPT, "a frame of the PNG has no size")
    picture = _chunk(b"IHDR", struct.pack(">II", width, height) + header[8:])
    return Patch(
        file=png.SIGNATURE + picture + palette + _chunk(b"IDAT", bytes(frame.data)) + _chunk(b"IEND", b""),
        left=left,
        top=top,
        size=(width, height),
        duration=1000 * delay / (part or HUNDREDTHS),
        disposal={1: Disposal.CLEAR, 2: Disposal.RESTORE}.get(disposal, Disposal.LEAVE),
        over=blend == 1,
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
