"""Which decoders and encoders there are here, and of which version."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

import PIL
from PIL import features

from thumbsmith.formats import vips

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


def libraries() -> dict[str, str]:
    """Return the versions of all libraries that handle pictures here; those that are missing are left out."""
    found = {"Pillow": PIL.__version__, "libvips": vips.version()}
    found |= {name: version for name, part in LIBRARIES.items() if (version := features.version(part))}
    if find_spec("pi_heif"):
        import pi_heif  # noqa: PLC0415 - an extra that need not be there

        found |= {"pi-heif": pi_heif.__version__, "libheif": pi_heif.libheif_version()}
    return found


def read() -> dict[str, bool]:
    """Return of every format of sources whether it can be decoded here."""
    return {name: _has(name) for name in READ}


def written() -> dict[str, bool]:
    """Return of every format of renditions whether it can be encoded here."""
    return {name: _has(name) for name in WRITTEN}


def _has(name: str) -> bool:
    if name == "heic":
        return find_spec("pi_heif") is not None
    return name not in PARTS or bool(features.check(PARTS[name]))
