"""The decoder of each format, with what it raises turned into what that means for the source.

Which decoders and encoders there are here, and of which version.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO, Any, Final, Protocol, cast

import PIL
from PIL import features

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image import decode_bmp, decode_tiff, pillow, vips
from thumbsmith.image.containers.base import Probe, ShortRead
from thumbsmith.image.containers.jpeg import profile_parts
from thumbsmith.image.decode_heic import open_heic
from thumbsmith.image.decode_png import StillPng
from thumbsmith.image.pillow import Image
from thumbsmith.image.profiles import join_parts
from thumbsmith.image.stream import SourceStream

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
ORIENTED_BY_DECODER: Final = frozenset({"tiff", "heic"})


class Readable(Protocol):
    """A file that a decoder reads."""

    def read(self, length: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...


def set_pillow_pixel_limit(pixels: int) -> None:
    """Make our Pillow raise for a picture of more than this number of pixels: it does at twice its own limit."""
    Image.MAX_IMAGE_PIXELS = -(-pixels // 2)


def open_image(file: Readable, probe: Probe) -> Image.Image:
    """Return the picture with its header read, by the decoder of the format that the probe found, and no other."""
    if probe.format == "heic":
        return open_heic(cast("SourceStream", file))
    if probe.format == "png":
        return StillPng(cast("IO[bytes]", file))
    if probe.format == "tiff":
        return decode_tiff.opened(cast("SourceStream", file), probe)
    if probe.format == "bmp":
        return decode_bmp.read(cast("SourceStream", file))
    module, name = READERS[probe.format]
    plugin: Any = pillow.plugin(module)
    if probe.format == "avif":
        plugin.DEFAULT_MAX_THREADS = 1  # a picture is one core's work: others have theirs
    image: Image.Image = getattr(plugin, name)(cast("IO[bytes]", file))
    if probe.format == "jpeg":  # Pillow counts the parts of a profile, and does not look at their numbers
        image.info["icc_profile"] = join_parts(profile_parts(cast("SourceStream", file).window()))
    return image


def check_size(image: Image.Image, probe: Probe) -> None:
    """Reject a picture whose decoder reads another size than was judged."""
    judged = probe.size if probe.format in ORIENTED_BY_DECODER else (probe.width, probe.height)
    if image.size != judged:
        sizes = "{}x{}, not {}x{}".format(*image.size, *judged)
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")


@contextmanager
def translate_decoder_errors(stream: SourceStream) -> Iterator[None]:
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


# What Pillow calls the libraries that it was built with.
LIBRARIES: Final = {
    "libjpeg-turbo": "libjpeg_turbo",
    "zlib": "zlib",
    "libtiff": "libtiff",
    "libwebp": "webp",
    "libavif": "avif",
    "littlecms": "littlecms2",
}

# The part of Pillow that a format needs; those that are not named are always there.
PARTS: Final = {"jpeg": "jpg", "png": "zlib", "webp": "webp", "tiff": "libtiff", "avif": "avif"}

READ: Final = ("jpeg", "png", "gif", "webp", "tiff", "bmp", "avif", "heic")
WRITTEN: Final = ("jpeg", "png", "webp", "avif")


def library_versions() -> dict[str, str]:
    """Return the versions of all libraries that handle pictures here; those that are missing are left out."""
    found = {"Pillow": PIL.__version__, "libvips": vips.version()}
    found |= {name: version for name, part in LIBRARIES.items() if (version := features.version(part))}
    if find_spec("pi_heif"):
        import pi_heif  # noqa: PLC0415 - an extra that need not be there

        found |= {"pi-heif": pi_heif.__version__, "libheif": pi_heif.libheif_version()}
    return found


def decodable_formats() -> dict[str, bool]:
    """Return of every format of sources whether it can be decoded here."""
    return {name: _has(name) for name in READ}


def encodable_formats() -> dict[str, bool]:
    """Return of every format of renditions whether it can be encoded here."""
    return {name: _has(name) for name in WRITTEN}


def _has(name: str) -> bool:
    if name == "heic":
        return find_spec("pi_heif") is not None
    return name not in PARTS or bool(features.check(PARTS[name]))
