"""Bytes to picture: each source is decoded once, at the smallest scale that serves what is made of it."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, cast

from PIL import Image

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.formats import color
from thumbsmith.formats.heic import open_heic
from thumbsmith.formats.modes import to_plain
from thumbsmith.formats.stream import SourceStream
from thumbsmith.geometry import DCT_MARGIN, dct_shrink
from thumbsmith.memory import FULL_PIXELS
from thumbsmith.probe.types import Probe
from thumbsmith.reader import RangeReader

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

# Sources are judged by our own limits before they come here; Pillow's would be a second, different opinion.
Image.MAX_IMAGE_PIXELS = None

# Pillow's class for each format. Made directly: `Image.open` would load five plugins or forty, and ask them in turn.
READERS: Final = {
    "jpeg": ("JpegImagePlugin", "JpegImageFile"),
    "png": ("PngImagePlugin", "PngImageFile"),
    "gif": ("GifImagePlugin", "GifImageFile"),
    "webp": ("WebPImagePlugin", "WebPImageFile"),
    "tiff": ("TiffImagePlugin", "TiffImageFile"),
    "bmp": ("BmpImagePlugin", "BmpImageFile"),
    "avif": ("AvifImagePlugin", "AvifImageFile"),
}

# What comes from these decoders is turned already: Pillow turns a TIFF, libheif a HEIC.
TURNED: Final = frozenset({"tiff", "heic"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A decoded source: the picture that all renditions are made from.

    `image` is L, LA, RGB, RGBA, CMYK or LAB; `shrink` of the source's pixels make one of its own, on each axis;
    `orientation` is the turn that is still to be made, `to_srgb` the conversion of its colours, where there is one.
    """

    image: Image.Image
    shrink: int
    orientation: int
    to_srgb: ImageCmsTransform | None


def decode(reader: RangeReader, probe: Probe, reduction: float) -> Base:
    """Return the source's first picture, where at most every `reduction`-th pixel of each axis is needed.

    Raises Rejected where the file is cut short (its end was reached while more was needed) or broken in another way;
    MissingDecoder; MemoryError; and what the reader raises, whatever the decoder made of it.
    """
    stream = SourceStream(reader)
    with _verdict(stream):
        shrink = dct_shrink(reduction) if probe.format == "jpeg" else 1
        image, to_srgb = _loaded(stream, probe, shrink)
        if shrink > 1 and probe.width * probe.height <= FULL_PIXELS and color.cut_off(image, to_srgb):
            del image  # the next takes all the memory there is for one
            image, to_srgb = _finely(stream, probe, shrink), None
    if to_srgb and image.mode == "CMYK":  # inks do not mix as light does: an average of them has another colour
        count = max(1, int(reduction / shrink / DCT_MARGIN))
        image, shrink, to_srgb = color.converted(image.reduce(count), to_srgb), shrink * count, None
    orientation = 1 if probe.format in TURNED else probe.orientation
    return Base(image=image, shrink=shrink, orientation=orientation, to_srgb=to_srgb)


def _loaded(stream: SourceStream, probe: Probe, shrink: int) -> tuple[Image.Image, ImageCmsTransform | None]:
    """Return the decoded picture, of a JPEG with its sides divided by `shrink`, and how its colours become sRGB."""
    stream.seek(0)
    image = opened(stream, probe)
    _check_size(image, probe)
    if shrink > 1:
        image.draft(image.mode, (image.width // shrink, image.height // shrink))
    image.load()
    found = to_plain(image, probe.depth)
    return found, color.conversion(image.info.get("icc_profile") or None, found.mode)


def _finely(stream: SourceStream, probe: Probe, shrink: int) -> Image.Image:
    """Return a JPEG decoded with more pixels, in sRGB, and then averaged to the same size.

    Decoded at a quarter of the shrink and no less, the two photos that color.cut_off speaks of have SSIM 0.997.
    """
    less = max(1, shrink // 4)
    image, to_srgb = _loaded(stream, probe, less)
    return (color.converted(image, to_srgb) if to_srgb else image).reduce(shrink // less)


def opened(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return the picture with its header read, by the decoder of the format that the probe found, and no other."""
    if probe.format == "heic":
        return open_heic(stream.read())
    module, name = READERS[probe.format]
    plugin = importlib.import_module(f"PIL.{module}")
    if probe.format == "avif":
        plugin.DEFAULT_MAX_THREADS = 1  # type: ignore[attr-defined]  # a picture is one core's work: others have theirs
    image: Image.Image = getattr(plugin, name)(cast("IO[bytes]", stream))
    return image


def _check_size(image: Image.Image, probe: Probe) -> None:
    """Reject a picture whose decoder reads another size than was judged."""
    judged = probe.size if probe.format in TURNED else (probe.width, probe.height)
    if image.size != judged:
        sizes = "{}x{}, not {}x{}".format(*image.size, *judged)
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")


@contextmanager
def _verdict(stream: SourceStream) -> Iterator[None]:
    """Turn whatever a decoder raises into what it means for the source; its warnings concern nobody."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Rejected, MissingDecoder, MemoryError, ImportError):  # the last is an installation's fault
        raise
    except Exception as error:
        if stream.failure:
            raise stream.failure from error
        if stream.exhausted:
            raise Rejected(Code.TRUNCATED, "the file ends before the picture does") from error
        raise Rejected(Code.CORRUPT, "the decoder cannot make sense of the file") from error
    if stream.failure:
        raise stream.failure
