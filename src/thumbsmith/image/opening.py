"""Opens a source with the decoder of its format. Errors of decoders become Rejected. Lists the libraries in use."""

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
from thumbsmith.image.probe import SOURCE_FORMATS
from thumbsmith.image.profiles import join_parts
from thumbsmith.image.stream import SourceStream
from thumbsmith.recipe.model import Format

# Our own limits have been checked before. Pillow's limit would be a second, different one.
Image.MAX_IMAGE_PIXELS = None

# Pillow's plugin and class for each format. `Image.open` would load five plugins or forty, and try them in turn.
READERS: Final = {
    "jpeg": ("JpegImagePlugin", "JpegImageFile"),
    "gif": ("GifImagePlugin", "GifImageFile"),
    "webp": ("WebPImagePlugin", "WebPImageFile"),
    "avif": ("AvifImagePlugin", "AvifImageFile"),
}

# Formats that are already oriented when they are loaded.
ORIENTED_BY_DECODER: Final = frozenset({"tiff", "heic"})


class Readable(Protocol):
    """A file that a decoder reads."""

    def read(self, length: int = -1, /) -> bytes:
        """Return the next bytes."""
        ...


def open_image(file: Readable, probe: Probe) -> Image.Image:
    """Return the image with its header read, by the decoder of the format that the probe found, and no other."""
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
        plugin.DEFAULT_MAX_THREADS = 1  # one source uses one core: the others are for other sources
    image: Image.Image = getattr(plugin, name)(cast("IO[bytes]", file))
    if probe.format == "jpeg":  # Pillow counts the parts of a profile, but ignores their numbers
        image.info["icc_profile"] = join_parts(profile_parts(cast("SourceStream", file).window()))
    return image


def check_size(image: Image.Image, probe: Probe) -> None:
    """Raise Rejected (corrupt) if the decoder reads another size than the probe, for which limits were checked."""
    checked = probe.size if probe.format in ORIENTED_BY_DECODER else (probe.width, probe.height)
    if image.size != checked:
        sizes = "{}x{}, not {}x{}".format(*image.size, *checked)
        raise Rejected(Code.CORRUPT, f"its parts disagree about its size: {sizes}")


@contextmanager
def translate_decoder_errors(stream: SourceStream) -> Iterator[None]:
    """Raise what the reader raised, else Rejected (truncated or corrupt) for any other error of a decoder."""
    try:
        yield
    except (Rejected, MissingDecoder, MemoryError, ImportError):  # ImportError: the installation is at fault
        raise
    except Exception as error:
        if stream.failure:
            raise stream.failure from error
        if stream.exhausted or isinstance(error, ShortRead):
            raise Rejected(Code.TRUNCATED, "the file ends before the picture does") from error
        raise Rejected(Code.CORRUPT, "the decoder cannot make sense of the file") from error
    if stream.failure:
        raise stream.failure


def set_pillow_pixel_limit(pixels: int) -> None:
    """Make our Pillow raise for a picture with more pixels than this. It raises at twice its own limit."""
    Image.MAX_IMAGE_PIXELS = -(-pixels // 2)


# Library -> the name that Pillow has for it.
LIBRARIES: Final = {
    "libjpeg-turbo": "libjpeg_turbo",
    "zlib": "zlib",
    "libtiff": "libtiff",
    "libwebp": "webp",
    "libavif": "avif",
    "littlecms": "littlecms2",
}

# Format -> the optional part of Pillow that it needs. Formats that are missing here need none.
PILLOW_PARTS: Final = {"jpeg": "jpg", "png": "zlib", "webp": "webp", "tiff": "libtiff", "avif": "avif"}


def library_versions() -> dict[str, str]:
    """Return the versions of all image libraries that are installed."""
    found = {"Pillow": PIL.__version__, "libvips": vips.version()}
    found |= {name: version for name, part in LIBRARIES.items() if (version := features.version(part))}
    if find_spec("pi_heif"):
        import pi_heif  # noqa: PLC0415 - an optional extra

        found |= {"pi-heif": pi_heif.__version__, "libheif": pi_heif.libheif_version()}
    return found


def decodable_formats() -> dict[str, bool]:
    """Return for every format of sources whether it can be decoded here."""
    return {name: _is_available(name) for name in SOURCE_FORMATS}


def encodable_formats() -> dict[str, bool]:
    """Return for every format of renditions whether it can be encoded here."""
    return {kind.value: _is_available(kind.value) for kind in Format}


def _is_available(name: str) -> bool:
    if name == "heic":
        return find_spec("pi_heif") is not None
    return name not in PILLOW_PARTS or bool(features.check(PILLOW_PARTS[name]))
