"""Opens a source with the decoder of its format. Errors of decoders become Rejected. Lists the libraries in use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final, cast

import PIL
from PIL import features

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image import pillow, vips
from thumbsmith.image.containers.base import Probe, ShortRead
from thumbsmith.image.formats import SOURCE_FORMATS, SourceFormat
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream
from thumbsmith.recipe.model import Format

# Our own limits have been checked before. Pillow's limit would be a second, different one.
Image.MAX_IMAGE_PIXELS = None


def open_image(stream: SourceStream, probe: Probe) -> Image.Image:
    """Return the image with its header read, by the decoder of the format that the probe found, and no other.

    Classes of Pillow are called directly: `Image.open` would load five plugins or forty, and try them in turn. Raises
    MissingDecoder if a package is not installed, and what the decoder raises.
    """
    source_format = SOURCE_FORMATS[probe.format]
    source_format.require_package()
    if decoder := source_format.load_decoder():
        return cast("Image.Image", decoder(stream, probe))
    if source_format.plugin is None:
        raise ValueError(f"{probe.format} has no decoder in the table of formats")
    module, name = source_format.plugin
    return cast("Image.Image", getattr(pillow.plugin(module), name)(stream))


def check_size(image: Image.Image, probe: Probe) -> None:
    """Raise Rejected (corrupt) if the decoder reads another size than the probe, for which limits were checked."""
    checked = probe.size if SOURCE_FORMATS[probe.format].orients else (probe.width, probe.height)
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


def library_versions() -> dict[str, str]:
    """Return the versions of all image libraries that are installed."""
    found = {"Pillow": PIL.__version__, "libvips": vips.version()}
    found |= {name: version for name, part in LIBRARIES.items() if (version := features.version(part))}
    if find_spec("pi_heif"):
        import pi_heif  # noqa: PLC0415 - the other commands do not load it

        found |= {"pi-heif": pi_heif.__version__, "libheif": pi_heif.libheif_version()}
    return found


def decodable_formats() -> dict[str, bool]:
    """Return for every format of sources whether it can be decoded here."""
    return {name: _is_available(each) for name, each in SOURCE_FORMATS.items()}


def encodable_formats() -> dict[str, bool]:
    """Return for every format of renditions whether it can be encoded here."""
    return {kind.value: _is_available(SOURCE_FORMATS[kind]) for kind in Format}


def _is_available(source_format: SourceFormat) -> bool:
    feature, package = source_format.feature, source_format.package
    return (feature is None or bool(features.check(feature))) and (package is None or find_spec(package) is not None)
