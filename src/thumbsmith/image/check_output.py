"""Nothing in a rendition but its picture: what is to be stored, checked part by part, in pure Python.

Whoever encoded it had handled hostile bytes before, and encoders write on what they were given to read: a position, a
serial number, a comment. So the file must be of the format and the size that it should be, and consist, from its first
byte to its last, of parts that a picture needs.
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

NOTHING: Final = Extras()

_CHECKS: Final[Mapping[Format, Callable[[bytes, Extras], None]]] = {
    Format.JPEG: jpeg.check,
    Format.PNG: png.check,
    Format.WEBP: webp.check,
    Format.AVIF: avif.check,
}


def check(rendition: Rendition, extras: Extras = NOTHING) -> None:
    """Raise OutputError where a rendition's bytes are not what they are said to be, or hold more than its picture.

    That is EXIF, GPS, XMP, IPTC, comments, texts, thumbnails, maker notes, colour profiles, further frames, trailing
    bytes, and whatever else is not known to be part of a plain picture; but for `extras`, where a variant asks for
    them. What the pixels show is not looked at.
    """
    try:
        found = probe(BytesReader(rendition.data))
        said = (found.format, *found.size, found.frames)
        due = (rendition.format, rendition.width, rendition.height, found.frames if extras.frames else 1)
        if said != due:
            raise OutputError(f"format, width, height and frames are {said}, not {due}")
        _CHECKS[rendition.format](rendition.data, extras)
    except Rejected as refused:
        raise OutputError(refused.detail) from refused
