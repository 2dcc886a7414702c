"""Pictures that are averaged while they are decoded, by libvips, so that the whole of them is never in memory.

Where a thumbnail needs few of a picture's pixels. Measured on 8 megapixels to 256 px, CPU time and memory at the peak:
PNG 134 ms and 30 MB, with Pillow 225 ms and 60 MB; TIFF 81 and 118 ms. libwebp averages itself: 12 megapixels in 227 ms
and a process of 38 MB, where Pillow takes 288 ms and 230 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from thumbsmith.image import vips
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.geometry import REDUCING_GAP
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream
from thumbsmith.image.transform import drop_opaque_alpha

MODES: Final = {1: "L", 3: "RGB"}

# Bytes of a file that is handed over whole: being asked for 4 KiB at a time costs 8 microseconds each.
MAX_IN_MEMORY_BYTES: Final = 16 << 20

# What libwebp leaves. It takes longer the less it averages: at 3, a tenth more time for SSIM 0.9994 instead of 0.9991.
WEBP_REDUCING_GAP: Final = 2.5

# Tags of the TIFFs that libvips is faster with (TIFF 6.0, and Adobe's note on ZIP): compressed by deflate, not LZW;
# light or RGB as it is, in one plane, without extra samples.
TIFF: Final[dict[int, tuple[object, ...]]] = {
    259: (8, 32946),
    262: (1, 2),
    284: (None, 1),
    338: (None,),
    317: (None, 1, 2),
}


class VipsInput:
    """A stream as the file that libvips reads: what reading it raises is kept in `raised`."""

    def __init__(self, stream: SourceStream) -> None:
        self.raised: BaseException | None = None
        self._stream = stream

    def read_into(self, buffer: Any) -> int:
        """Read into a buffer; return the number of bytes, 0 at the end, -1 for a failure."""
        try:
            data = self._stream.read(len(buffer))
        except BaseException as problem:  # SystemExit too: this is not the thread that it would end
            self.raised = problem
            return -1
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        """Go to a position; return it, -1 where there is none."""
        try:
            return self._stream.seek(offset, whence)
        except ValueError:
            return -1


def load_shrunk(
    stream: SourceStream, probe: Probe, image: Image.Image, reduction: float
) -> tuple[Image.Image, int] | None:
    """Return a picture of which every `reduction`-th pixel is needed, averaged, and what its sides were divided by.

    `image` is the same, opened by Pillow. None where this is not for it, or libvips does not like it: Pillow has the
    last word on what is broken. Raises what the reader raises.
    """
    count = _count(reduction)
    if count < 2 or not is_streamable(probe, image):
        return None

    def made(file: VipsInput | bytes) -> Image.Image | None:
        whole = vips.Picture.read(f"{probe.format}load", file)
        if whole.shape != (*image.size, len(image.getbands())):
            return None
        return _taken(whole.run("shrink", hshrink=count, vshrink=count, ceil="true"))

    place = stream.tell()
    found = _tried(stream, probe, made)
    stream.seek(place)
    return None if found is None else (found, count)


def load_webp_shrunk(
    stream: SourceStream, probe: Probe, reduction: float
) -> tuple[Image.Image, bytes | None, float] | None:
    """Return a WebP as `averaged` does, and its ICC profile between; it spans the whole, however that divides.

    Pillow does not open it: it would make a canvas of full size.
    """
    count = _count(reduction, WEBP_REDUCING_GAP)
    if count < 2 or probe.format != "webp" or probe.alpha or probe.frames > 1:
        return None
    profiles: list[bytes | None] = []

    def made(file: VipsInput | bytes) -> Image.Image | None:
        read = vips.Picture.read("webpload", file, scale=1 / count)
        profiles.append(read.profile())
        return _opaque(read) if read.shape[2] == 4 else _taken(read)

    found = _tried(stream, probe, made)
    if found is None:
        return None
    # A hair less than either axis was divided by, so that the whole of one is the whole of the other.
    return found, profiles[0], min(probe.width / found.width, probe.height / found.height) * (1 - 2**-40)


def _count(reduction: float, gap: float = REDUCING_GAP) -> int:
    """Return how many pixels are averaged on each axis: of what is made, `gap` and more go into one."""
    return int(reduction / gap)


def _tried(
    stream: SourceStream, probe: Probe, made: Callable[[VipsInput | bytes], Image.Image | None]
) -> Image.Image | None:
    """Return what is made of a file, None where libvips fails. Raises what the reader raises."""
    feed = VipsInput(stream)
    stream.seek(0)
    try:
        found = made(feed if probe.bytes > MAX_IN_MEMORY_BYTES else stream.read())
    except vips.VipsError:
        found = None
    if feed.raised:
        raise feed.raised
    stream.exhausted = False  # a decoder may look for the end of a file that is whole
    return found


def _taken(picture: vips.Picture) -> Image.Image | None:
    """Return a picture of libvips, None where it is not grey or RGB of 8 bits. Raises VipsError."""
    width, height, bands = picture.shape
    mode = MODES.get(bands)
    return Image.frombuffer(mode, (width, height), picture.pixels(), "raw", mode, 0, 1) if mode else None


def _opaque(picture: vips.Picture) -> Image.Image | None:
    """Return a picture of libvips with alpha as RGB, None where a pixel is not opaque. Raises VipsError."""
    image: Image.Image = Image.frombuffer("RGBA", picture.shape[:2], picture.pixels(), "raw", "RGBA", 0, 1)
    found = drop_opaque_alpha(image)
    return found if found.mode == "RGB" else None


def is_streamable(probe: Probe, image: Image.Image) -> bool:
    """Return whether a picture is one that libvips decodes as Pillow does, in less time or memory."""
    if probe.depth != 8 or probe.frames != 1 or probe.alpha or image.mode not in MODES.values():
        return False
    match probe.format:
        case "png":
            return not probe.interlaced and "transparency" not in image.info
        case "tiff":
            tags = getattr(image, "tag_v2", {})
            plain = all(tags.get(tag) in values for tag, values in TIFF.items())
            return plain and probe.orientation == 1 and not probe.levels
    return False
