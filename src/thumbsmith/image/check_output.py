"""Checks encoded renditions part by part, in pure Python: a file contains its picture and nothing else.

The process that encoded it had read hostile bytes before, and encoders copy what they read: a position, a serial
number, a comment. So a file must have the expected format and size, and every byte of it must belong to a part that
a picture needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.image.containers import avif, jpeg, png, webp
from thumbsmith.image.containers.checks import Extras, OutputError
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe.model import Format
from thumbsmith.recipe.names import Rendition

__all__ = ["Extras", "OutputError", "check"]

NO_EXTRAS: Final = Extras()

_CHECKS: Final[Mapping[Format, Callable[[bytes, Extras], None]]] = {
    Format.JPEG: jpeg.check,
    Format.PNG: png.check,
    Format.WEBP: webp.check,
    Format.AVIF: avif.check,
}


def check(rendition: Rendition, extras: Extras = NO_EXTRAS) -> None:
    """Raise OutputError if the bytes of a rendition have another format or size, or contain more than its picture.

    Not allowed are EXIF, GPS, XMP, IPTC, comments, texts, thumbnails, maker notes, color profiles, further frames,
    trailing bytes, and any other part that a plain picture does not need. `extras` are allowed in addition, since the
    variant asks for them. What the pixels show is not checked.
    """
    try:
        found = probe(BytesReader(rendition.data))
        actual = (found.format, *found.size, found.frames)
        expected = (rendition.format, rendition.width, rendition.height, found.frames if extras.frames else 1)
        if actual != expected:
            raise OutputError(f"format, width, height and frames are {actual}, not {expected}")
        _CHECKS[rendition.format](rendition.data, extras)
    except Rejected as refused:
        raise OutputError(refused.detail) from refused
