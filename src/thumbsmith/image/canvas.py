"""The frames of a GIF or PNG on their canvas, composed as the specifications say.

Each frame is cut out as a file of its own, and decoded as a still image. Pillow's own composition differs from the
specifications: it blends half-transparent parts of a PNG too weakly, and fills free parts of a GIF with a color.
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
from thumbsmith.image.prepare import repair
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import BytesReader, RangeReader

# A delay of n / 0 seconds in a PNG means n / 100 (third edition, 11.3.6.2).
_DEFAULT_DELAY_DENOMINATOR: Final = 100


def first(stream: SourceStream, probe: Probe) -> Image.Image | None:
    """Return the first frame of a GIF or PNG on its canvas, in RGBA; None if the animation has none."""
    return next((picture for picture, _ in composed(stream, probe)), None)


def composed(stream: SourceStream, probe: Probe) -> Iterator[tuple[Image.Image, float]]:
    """Yield the canvas of a GIF or PNG after each frame, in RGBA, and the duration in milliseconds."""
    canvas = Image.new("RGBA", (probe.width, probe.height))
    for number, frame in enumerate(_frame_files(stream, probe)):
        picture = _decode_frame(frame, probe)
        before = canvas.copy() if frame.disposal is Disposal.RESTORE else canvas
        area = (frame.left, frame.top, frame.left + frame.size[0], frame.top + frame.size[1])
        if frame.blend:
            picture = Image.alpha_composite(canvas.crop(area), picture)
        canvas.paste(picture, area)
        yield canvas.copy(), frame.duration
        if frame.disposal is Disposal.CLEAR or (frame.disposal is Disposal.RESTORE and number == 0):
            canvas.paste((0, 0, 0, 0), area)
        else:
            canvas = before


def _frame_files(stream: SourceStream, probe: Probe) -> Iterable[FrameFile]:
    return islice(FRAME_READERS[probe.format](stream.window()), probe.frames)


def _decode_frame(frame: FrameFile, probe: Probe) -> Image.Image:
    """Return the picture of one frame.

    Raises Rejected(corrupt) for a frame that is larger than the canvas, whose size was not compared with the limits.
    """
    width, height = frame.size
    if width > probe.width or height > probe.height:
        raise Rejected(Code.CORRUPT, f"a frame is {width}x{height}, on a canvas of {probe.width}x{probe.height}")
    if not (width and height):
        return Image.new("RGBA", frame.size)
    return _decode(BytesReader(frame.file), replace(probe, hidden=False)).convert("RGBA")


def _decode(file: RangeReader, probe: Probe) -> Image.Image:
    try:
        return _load(file, probe)
    except Rejected:
        repaired = repair(file, probe)
        if repaired is None:
            raise
    return _load(repaired, probe)


def _load(file: RangeReader, probe: Probe) -> Image.Image:
    stream = SourceStream(file)
    with translate_decoder_errors(stream):
        image = open_image(stream, probe)
        image.load()
        return normalize_mode(image, probe.depth)


class Disposal(Enum):
    """What happens to the area of a frame before the next one is drawn."""

    LEAVE = auto()
    CLEAR = auto()
    RESTORE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameFile:
    """One frame: a file with a still image of `size`, and its position. `blend` it with the canvas, or replace that."""

    file: bytes
    left: int
    top: int
    size: Size
    duration: float  # milliseconds
    disposal: Disposal
    blend: bool = True


def _gif_frames(data: Window) -> Iterator[FrameFile]:
    """Yield the frames of a GIF (GIF89a, 20 and 23). Raises ShortRead if the last one is cut."""
    flags = data.byte(gif.SCREEN_FLAGS)
    head = data.read(0, gif.HEADER_BYTES + gif.color_table_bytes(flags))
    for control, image in gif.frames(data):
        flags, delay, transparent = control.unpack("<BHB", 0) if control else (0, 0, 0)
        left, top, width, height = image.unpack("<HHHH", 0)
        screen = head[:6] + struct.pack("<HH", width, height) + head[10:]
        extension = b"!\xf9\x04" + struct.pack("<BHB", flags & 1, 0, transparent) + b"\0"
        descriptor = struct.pack("<HHHH", 0, 0, width, height) + image.read(8, image.size - 8)
        yield FrameFile(
            file=screen + extension + b"," + descriptor + b";",
            left=left,
            top=top,
            size=(width, height),
            duration=delay * 10,
            disposal={2: Disposal.CLEAR, 3: Disposal.RESTORE}.get(flags >> 2 & 7, Disposal.LEAVE),
        )


@dataclass(slots=True)
class _PngFrame:
    """A frame of a PNG while its data are collected: the numbers of fcTL, and the data of IDAT or fdAT."""

    control: tuple[int, ...]
    data: bytearray


def _png_frames(data: Window) -> Iterator[FrameFile]:
    """Yield the frames of an animated PNG (third edition, 11.3.6). A first image that is no frame is left out."""
    header = data.read(*png.HEADER)
    palette, frame, seen = b"", None, 0
    for kind, body in png.chunks(data):
        if kind in (b"PLTE", b"tRNS") and not seen:
            palette += _chunk(kind, body.read(0, body.size))
        elif kind == b"fcTL":
            if frame:
                yield _png_frame(frame, header, palette)
            seen += 1
            frame = _PngFrame(body.unpack(">IIIIHHBB", 4), bytearray())
        elif frame and kind in (b"IDAT", b"fdAT"):
            start = 4 if kind == b"fdAT" else 0
            frame.data += body.read(start, body.size - start)
        elif kind == b"IEND":
            break
    if frame:
        yield _png_frame(frame, header, palette)


def _png_frame(frame: _PngFrame, header: bytes, palette: bytes) -> FrameFile:
    width, height, left, top, delay, denominator, disposal, blend = frame.control
    if not (width and height):
        raise Rejected(Code.CORRUPT, "a frame of the PNG has no size")
    picture = _chunk(b"IHDR", struct.pack(">II", width, height) + header[8:])
    return FrameFile(
        file=png.SIGNATURE + picture + palette + _chunk(b"IDAT", bytes(frame.data)) + _chunk(b"IEND", b""),
        left=left,
        top=top,
        size=(width, height),
        duration=1000 * delay / (denominator or _DEFAULT_DELAY_DENOMINATOR),
        disposal={1: Disposal.CLEAR, 2: Disposal.RESTORE}.get(disposal, Disposal.LEAVE),
        blend=blend == 1,
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


FRAME_READERS: Final = {"gif": _gif_frames, "png": _png_frames}
