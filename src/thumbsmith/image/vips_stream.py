"""Decodes a source with libvips and reduces it row by row, so that it is never whole in memory.

If all pictures are made from one that shows the whole source, the result is that picture. Otherwise pixels are averaged
while they are decoded, if few of them are needed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from thumbsmith.image import vips
from thumbsmith.image.color import SAMPLE_SIZE
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.geometry import REDUCING_GAP, Size
from thumbsmith.image.lanczos import Reduction, lanczos_of_strips, streamed_reduction
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream

T = TypeVar("T")

MODES: Final = {1: "L", 3: "RGB"}
ALPHA_MODES: Final = {2: "LA", 4: "RGBA"}

# Smaller files are passed as one block: libvips would read 4 KiB at a time, and each read costs 8 microseconds.
MAX_IN_MEMORY_BYTES: Final = 16 << 20

# Rows with alpha that are reduced at a time. A picture with fewer pixels takes little memory as it is.
ALPHA_STRIP_ROWS: Final = 64
MIN_ALPHA_PIXELS: Final = 1 << 18

# Decoded rows that are kept until a sample was taken of them: more than those from which one strip is made.
SAMPLE_TILE_ROWS: Final = 16
SAMPLE_TILES: Final = 32

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """A reduced picture: L, RGB, or premultiplied La or RGBa.

    `shrink` is the number of source pixels for each of its pixels, across and down. `sample` is a picture
    of some of the decoded pixels, before they were reduced. `profile` is the ICC profile of a WebP.
    """

    image: Image.Image
    shrink: tuple[float, float]
    sample: Image.Image
    profile: bytes | None = None


def load_reduced(
    stream: SourceStream, probe: Probe, image: Image.Image, reduction: float, size: Size | None
) -> Streamed | None:
    """Return a reduced PNG or TIFF of which every `reduction`-th pixel is needed: of `size`, if only that is needed.

    `image` is the same, opened by Pillow. Returns None if this is no such file, or if libvips fails: whether a file is
    broken is decided by Pillow. Raises what the reader raises.
    """
    if not is_streamable(probe, image):
        return None
    count = int(reduction / REDUCING_GAP)
    planned = streamed_reduction(image.size, size) if size else None
    if probe.alpha and not gets_smaller(image.size, size):
        return None
    if not probe.alpha and not planned and count < 2:
        return None

    def load(file: VipsInput | bytes) -> Streamed | None:
        whole = open_tiff(file, probe) if probe.format == "tiff" else vips.Picture.open("pngload", file)
        if whole.shape != (*image.size, len(image.getbands())):
            return None
        if probe.alpha and size:
            return reduced_with_alpha(whole, size)
        if planned:
            return reduced(whole, planned)
        averaged = to_pillow(whole.run("shrink", hshrink=count, vshrink=count, ceil="true"))
        return replace(streamed(averaged, averaged.size), shrink=(count, count))

    place = stream.tell()
    found = _load(stream, probe, load)
    stream.seek(place)
    return found


def open_tiff(file: VipsInput | bytes, probe: Probe) -> vips.Picture:
    """Return a TIFF opened by libvips. Raises VipsError.

    libvips 8.18 ignores that a tile cannot be decoded, unless it fails for warnings. In an image of strips it would
    then also fail for warnings about fields that it does not know.
    """
    return vips.Picture.open("tiffload", file, fail_on="warning" if probe.piece else "error")


def is_streamable(probe: Probe, image: Image.Image) -> bool:
    """Return whether libvips decodes this picture to the same pixels as Pillow, in less time or memory."""
    if probe.depth != 8 or probe.frames != 1:
        return False
    match probe.format:
        case "png":
            modes = ALPHA_MODES if probe.alpha else MODES
            return image.mode in modes.values() and not probe.interlaced and "transparency" not in image.info
        case "tiff":
            tags = getattr(image, "tag_v2", {})
            plain = all(tags.get(tag) in values for tag, values in STREAMABLE_TIFF_TAGS.items())
            plain &= image.mode in MODES.values() and not probe.alpha
            return plain and probe.orientation == 1 and not probe.levels
    return False


def _load(stream: SourceStream, probe: Probe, load: Callable[[VipsInput | bytes], T | None]) -> T | None:
    """Return what `load` makes of a file, None if libvips fails. Raises what the reader raises."""
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


def gets_smaller(whole: Size, size: Size | None) -> bool:
    """Return whether both sides get smaller, and the picture is so large that it matters."""
    return size is not None and size[0] < whole[0] and size[1] < whole[1] and whole[0] * whole[1] >= MIN_ALPHA_PIXELS


def reduced(whole: vips.Picture, planned: Reduction) -> Streamed:
    """Return a decoded picture reduced, without ever having all of its pixels."""
    made = planned.of(whole)
    return streamed(planned.crop(_frame(made.shape, made.pixels())), whole.shape[:2])


def reduced_with_alpha(whole: vips.Picture, size: Size) -> Streamed:
    """Return a decoded picture with alpha reduced, as Pillow does it, without ever having all of its pixels."""
    shape = whole.shape
    image = lanczos_of_strips(whole.strips(ALPHA_STRIP_ROWS), ALPHA_MODES[shape[2]], shape[:2], size)
    return streamed(image, shape[:2])


def reduced_and_sampled(whole: vips.Picture, planned: Reduction) -> Streamed:
    """Return a decoded picture reduced, and a sample of its decoded pixels, in one pass from its top to its bottom."""
    width, height, bands = whole.shape
    tiles = {"tile_width": width, "tile_height": SAMPLE_TILE_ROWS, "max_tiles": SAMPLE_TILES}
    kept = whole.run("tilecache", **tiles, access="sequential")
    made, fetch = planned.of(kept), kept.rows_in_this_thread()
    places = deque(int((place + 0.5) * height / SAMPLE_SIZE[1]) for place in range(SAMPLE_SIZE[1]))
    pixels, sample, row_bytes = bytearray(), bytearray(), made.shape[0] * bands
    for strip in made.strips():
        pixels += strip
        decoded_rows = (len(pixels) // row_bytes - planned.spans[1].skip) * planned.averaged[1] * planned.shrink[1]
        while places and places[0] < decoded_rows:
            sample += fetch(places.popleft(), 1)
    while places:
        sample += fetch(places.popleft(), 1)
    return replace(
        streamed(planned.crop(_frame(made.shape, pixels)), (width, height)),
        sample=_frame((width, SAMPLE_SIZE[1], bands), sample).resize(SAMPLE_SIZE, Image.Resampling.NEAREST),
    )


def streamed(image: Image.Image, whole: Size) -> Streamed:
    """Return a reduced picture of a source whose size is `whole`."""
    return Streamed(image=image, shrink=shrink_between(whole, image.size), sample=image)


def shrink_between(whole: Size, size: Size) -> tuple[float, float]:
    """Return the ratio of two sizes, slightly reduced, so that the box of the whole is the whole reduced picture."""
    if whole == size:
        return (1, 1)
    return (whole[0] / size[0] * (1 - 2**-40), whole[1] / size[1] * (1 - 2**-40))


def to_pillow(picture: vips.Picture) -> Image.Image:
    """Return a gray or RGB picture of libvips as Pillow's. Raises VipsError."""
    return _frame(picture.shape, picture.pixels())


def _frame(shape: tuple[int, int, int], pixels: Any) -> Image.Image:
    mode = MODES[shape[2]]
    return Image.frombuffer(mode, shape[:2], pixels, "raw", mode, 0, 1)
