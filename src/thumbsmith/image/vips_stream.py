"""Decodes a PNG, TIFF or WebP with libvips and averages it row by row, so that it is never whole in memory.

This is for sources of which few pixels are needed. Measured on 8 megapixels to 256 px, CPU time and peak of memory: PNG
134 ms and 30 MB, with Pillow 225 ms and 60 MB; TIFF 81 ms, with Pillow 118 ms. libwebp averages by itself: 12
megapixels in 227 ms and a process of 38 MB, where Pillow takes 288 ms and 230 MB.
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

# Smaller files are passed as one block: libvips would read 4 KiB at a time, and each read costs 8 microseconds.
MAX_IN_MEMORY_BYTES: Final = 16 << 20

# REDUCING_GAP for WebP: libwebp takes longer if it averages less. At 3, SSIM is 0.9994 instead of 0.9991, for a tenth
# more time.
WEBP_REDUCING_GAP: Final = 2.5

# Tag -> values of the TIFFs that libvips decodes faster (TIFF 6.0, and Adobe's note on ZIP): compressed by deflate, not
# LZW; gray with black as 0, or RGB; in one plane, without extra samples.
STREAMABLE_TIFF_TAGS: Final[dict[int, tuple[object, ...]]] = {
    259: (8, 32946),
    262: (1, 2),
    284: (None, 1),
    338: (None,),
    317: (None, 1, 2),
}


class VipsInput:
    """A stream as a file for libvips. `raised` is the exception of a failed read."""

    def __init__(self, stream: SourceStream) -> None:
        self.raised: BaseException | None = None
        self._stream = stream

    def read_into(self, buffer: Any) -> int:
        """Read into a buffer. Return the number of bytes, 0 at the end, -1 for a failure."""
        try:
            data = self._stream.read(len(buffer))
        except BaseException as problem:  # SystemExit too: this thread belongs to libvips
            self.raised = problem
            return -1
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int) -> int:
        """Move to a position and return it, -1 if it is before the start."""
        try:
            return self._stream.seek(offset, whence)
        except ValueError:
            return -1


def load_shrunk(
    stream: SourceStream, probe: Probe, image: Image.Image, reduction: float
) -> tuple[Image.Image, int] | None:
    """Return a PNG or TIFF, averaged, and the divisor of its sides. Every `reduction`-th pixel of it is needed.

    `image` is the same, opened by Pillow. Returns None if this is no such file, or if libvips fails: whether a file is
    broken is decided by Pillow. Raises what the reader raises.
    """
    count = _count(reduction)
    if count < 2 or not is_streamable(probe, image):
        return None

    def load(file: VipsInput | bytes) -> Image.Image | None:
        whole = open_tiff(file, probe) if probe.format == "tiff" else vips.Picture.open("pngload", file)
        if whole.shape != (*image.size, len(image.getbands())):
            return None
        return _to_pillow(whole.run("shrink", hshrink=count, vshrink=count, ceil="true"))

    place = stream.tell()
    found = _load(stream, probe, load)
    stream.seek(place)
    return None if found is None else (found, count)


def open_tiff(file: VipsInput | bytes, probe: Probe) -> vips.Picture:
    """Return a TIFF opened by libvips. Raises VipsError.

    libvips 8.18 ignores that a tile cannot be decoded, unless it fails for warnings. In an image of strips it would
    then also fail for warnings about fields that it does not know.
    """
    return vips.Picture.open("tiffload", file, fail_on="warning" if probe.piece else "error")


def load_webp_shrunk(
    stream: SourceStream, probe: Probe, reduction: float
) -> tuple[Image.Image, bytes | None, float] | None:
    """Return a WebP, averaged, its ICC profile, and the divisor of its sides, which need not be whole.

    Returns None as `load_shrunk` does. Pillow does not open the file: it would allocate a canvas of full size.
    """
    count = _count(reduction, WEBP_REDUCING_GAP)
    if count < 2 or probe.format != "webp" or probe.alpha or probe.frames > 1:
        return None
    profiles: list[bytes | None] = []

    def load(file: VipsInput | bytes) -> Image.Image | None:
        opened = vips.Picture.open("webpload", file, scale=1 / count)
        profiles.append(opened.profile())
        return _opaque_to_pillow(opened) if opened.shape[2] == 4 else _to_pillow(opened)

    found = _load(stream, probe, load)
    if found is None:
        return None
    # Slightly less than the divisor of either axis, so that the box of the whole source is the whole picture.
    return found, profiles[0], min(probe.width / found.width, probe.height / found.height) * (1 - 2**-40)


def is_streamable(probe: Probe, image: Image.Image) -> bool:
    """Return whether libvips decodes this picture to the same pixels as Pillow, in less time or memory."""
    if probe.depth != 8 or probe.frames != 1 or probe.alpha or image.mode not in MODES.values():
        return False
    match probe.format:
        case "png":
            return not probe.interlaced and "transparency" not in image.info
        case "tiff":
            tags = getattr(image, "tag_v2", {})
            plain = all(tags.get(tag) in values for tag, values in STREAMABLE_TIFF_TAGS.items())
            return plain and probe.orientation == 1 and not probe.levels
    return False


def _count(reduction: float, gap: float = REDUCING_GAP) -> int:
    """Return how many pixels to average on each axis, so that `gap` or more are left for one pixel of the result."""
    return int(reduction / gap)


def _load(
    stream: SourceStream, probe: Probe, load: Callable[[VipsInput | bytes], Image.Image | None]
) -> Image.Image | None:
    """Return the picture that `load` makes of a file, None if libvips fails. Raises what the reader raises."""
    file_for_vips = VipsInput(stream)
    stream.seek(0)
    try:
        found = load(file_for_vips if probe.bytes > MAX_IN_MEMORY_BYTES else stream.read())
    except vips.VipsError:
        found = None
    if file_for_vips.raised:
        raise file_for_vips.raised
    stream.exhausted = False  # a decoder may read past the end of a complete file
    return found


def _to_pillow(picture: vips.Picture) -> Image.Image | None:
    """Return a picture of libvips as Pillow's, None if it is not gray or RGB of 8 bits. Raises VipsError."""
    width, height, bands = picture.shape
    mode = MODES.get(bands)
    return Image.frombuffer(mode, (width, height), picture.pixels(), "raw", mode, 0, 1) if mode else None


def _opaque_to_pillow(picture: vips.Picture) -> Image.Image | None:
    """Return a picture of libvips with alpha as RGB, None if a pixel is not opaque. Raises VipsError."""
    image: Image.Image = Image.frombuffer("RGBA", picture.shape[:2], picture.pixels(), "raw", "RGBA", 0, 1)
    found = drop_opaque_alpha(image)
    return found if found.mode == "RGB" else None
