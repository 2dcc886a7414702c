"""The frames of a GIF or PNG as the file holds them: each cut out as a file of its own, for the decoder of stills.

Pillow's own way of laying frames over one another differs from the specifications: half-transparent parts of a PNG are
laid on too thinly, and what a GIF leaves free gets a colour.

GIF without a color table, which Pillow makes gray.

Frames laid over one another, as the specifications of GIF and PNG have it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import islice
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers import gif, png
from thumbsmith.image.containers.base import Probe, Window
from thumbsmith.image.geometry import Size
from thumbsmith.image.opening import open_image, translate_decoder_errors
from thumbsmith.image.pillow import Image
from thumbsmith.image.repair import mended
from thumbsmith.image.stream import SourceStream, Spliced
from thumbsmith.reader import BytesReader, RangeReader

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


# Where the flags of the logical screen are, the flag of a global table, and the code of its largest size.
_FLAGS: Final = 10
_TABLE: Final = 0x80
_LARGEST: Final = 7


def with_table(reader: RangeReader) -> RangeReader:
    """Return a GIF, which was probed before, with a global color table: of black where it has none, as in browsers.

    GIF89a, 18, leaves open what is shown without one. Raises what the reader raises.
    """
    head = bytearray(reader.read(0, GIF_HEADER))
    if head[_FLAGS] & _TABLE:
        return reader
    head[_FLAGS] |= _TABLE | _LARGEST
    return Spliced(reader, (bytes(head), bytes(3 << (_LARGEST + 1)), (GIF_HEADER, reader.size)))


PATCHES: Final = {"gif": gif_patches, "png": png_patches}


def first(stream: SourceStream, probe: Probe) -> Image.Image | None:
    """Return the first frame of a GIF or PNG on its canvas, in RGBA; None where an animation has none."""
    return next((picture for picture, _ in composed(stream, probe)), None)


def composed(stream: SourceStream, probe: Probe) -> Iterator[tuple[Image.Image, float]]:
    """Yield what a GIF or PNG shows, frame by frame, in RGBA, and for how many milliseconds."""
    canvas = Image.new("RGBA", (probe.width, probe.height))
    for number, patch in enumerate(_patches(stream, probe)):
        picture = _picture(patch, probe)
        before = canvas.copy() if patch.disposal is Disposal.RESTORE else canvas
        place = (patch.left, patch.top, patch.left + patch.size[0], patch.top + patch.size[1])
        if patch.over:
            picture = Image.alpha_composite(canvas.crop(place), picture)
        canvas.paste(picture, place)
        yield canvas.copy(), patch.duration
        if patch.disposal is Disposal.CLEAR or (patch.disposal is Disposal.RESTORE and number == 0):
            canvas.paste((0, 0, 0, 0), place)
        else:
            canvas = before


def _patches(stream: SourceStream, probe: Probe) -> Iterable[Patch]:
    return islice(PATCHES[probe.format](stream.window()), probe.frames)


def _picture(patch: Patch, probe: Probe) -> Image.Image:
    """Return the picture of one patch. One that is larger than the canvas was not judged, and is refused."""
    width, height = patch.size
    if width > probe.width or height > probe.height:
        raise Rejected(Code.CORRUPT, f"a frame is {width}x{height}, on a canvas of {probe.width}x{probe.height}")
    if not (width and height):
        return Image.new("RGBA", patch.size)
    return _decoded(BytesReader(patch.file), replace(probe, hidden=False)).convert("RGBA")


def _decoded(file: RangeReader, probe: Probe) -> Image.Image:
    try:
        return _loaded(file, probe)
    except Rejected:
        whole = mended(file, probe)
        if whole is None:
            raise
    return _loaded(whole, probe)


def _loaded(file: RangeReader, probe: Probe) -> Image.Image:
    stream = SourceStream(file)
    with translate_decoder_errors(stream):
        image = open_image(stream, probe)
        image.load()
        return normalize_mode(image, probe.depth)
