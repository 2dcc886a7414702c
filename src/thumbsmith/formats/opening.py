"""The decoder of each format, with what it raises turned into what that means for the source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, Protocol, cast

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.formats import bmp, pillow, tiff
from thumbsmith.formats.heic import open_heic
from thumbsmith.formats.icc import joined
from thumbsmith.formats.pillow import Image
from thumbsmith.formats.png import StillPng
from thumbsmith.formats.stream import SourceStream
from thumbsmith.probe.jpeg import profile_parts
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import ShortRead

# Sources are judged by our own limits before they come here; Pillow's would be a second, different opinion.
Image.MAX_IMAGE_PIXELS = None

# Pillow's class for each format. Made directly: `Image.open` would load five plugins or forty, and ask them in turn.
READERS: Final = {
    "jpeg": ("JpegImagePlugin", "JpegImageFile"),
    "gif": ("GifImagePlugin", "GifImageFile"),
    "webp": ("WebPImagePlugin", "WebPImageFile"),
    "avif": ("AvifImagePlugin", "AvifImageFile"),
}

# What is opened here is turned already when it is loaded: by Pillow a TIFF, by heic.py a HEIC.
TURNED: Final = frozenset({"tiff", "heic"})


class Readable(Protocol):
    """A file that a decoder reads."""

    def read(self, length: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...


def refuse_bombs(pixels: int) -> None:
    """Make our Pillow raise for a picture of more than this number of pixels: it does at twice its own limit."""
    Image.MAX_IMAGE_PIXELS = -(-pixels // 2)


def opened(file: Readable, probe: Probe) -> Image.Image:
    """Return the picture with its header read, by the decoder of the format that the probe found, and no other."""
    if probe.format == "heic":
        return open_heic(cast("SourceStream", file))
    if probe.format == "png":
        return StillPng(cast("IO[bytes]", file))
    if probe.format == "tiff":
        return tiff.opened(cast("SourceStream", file), probe)
    if probe.format == "bmp":
        return bmp.read(cast("SourceStream", file))
    module, name = READERS[probe.format]
    plugin: Any = pillow.plugin(module)
    if probe.format == "avif":
        plugin.DEFAULT_MAX_THREADS = 1  # a picture is one core's work: others have theirs
    image: Image.Image = getattr(plugin, name)(cast("IO[bytes]", file))
    if probe.format == "jpeg":  # Pillow counts the parts of a profile, and does not look at their numbers
        image.info["icc_profile"] = joined(profile_parts(cast("SourceStream", file).window()))
    return image


def check_size(image: Image.Image, probe: Probe) -> None:
    """Reject a picture whose decoder reads another size than was judged."""
    judged = probe.size if probe.format in TURNED else (probe.width, probe.height)
    if image.size != judged:
        sizes = "{}x{}, not {}x{}".format(*image.size, *judged)
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")


@contextmanager
def verdict(stream: SourceStream) -> Iterator[None]:
    """Turn whatever a decoder raises into what it means for the source; its warnings are not looked at."""
    try:
        yield
    except (Rejected, MissingDecoder, MemoryError, ImportError):  # the last is an installation's fault
        raise
    except Exception as error:
        if stream.failure:
            raise stream.failure from error
        if stream.exhausted or isinstance(error, ShortRead):
            raise Rejected(Code.TRUNCATED, "the file ends before the picture does") from error
        raise Rejected(Code.CORRUPT, "the decoder cannot make sense of the file") from error
    if stream.failure:
        raise stream.failure
