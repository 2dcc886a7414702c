"""The output check: an encoded rendition is exactly one picture, and nothing else. In pure Python.

The process that encoded it decoded hostile bytes before. And encoders copy what a decoder hands them: a position, a
serial number, a comment. So the parent checks that a file has the right format and size, and that it consists, from the
first byte to the last, of parts that a picture needs.
"""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.image.containers import signature
from thumbsmith.image.containers.checks import Extras, OutputError
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe.names import Rendition

__all__ = ["Extras", "OutputError", "check"]

NO_EXTRAS: Final = Extras()


def load() -> None:
    """Import the checks of all formats that are written. Raises OSError if their files cannot be opened."""
    for each in SOURCE_FORMATS.values():
        each.load_check()


def check(rendition: Rendition, extras: Extras = NO_EXTRAS) -> None:
    """Raise OutputError if a rendition's bytes are not of its format and size, or contain more than its picture.

    Not allowed are EXIF, GPS, XMP, IPTC, comments, texts, thumbnails, maker notes, color profiles, further frames,
    bytes after the end, and every part that is not known to belong to a plain picture. `extras` are allowed, where a
    variant asks for them. What the pixels show is not checked.
    """
    try:
        head = rendition.data[: signature.SIGNATURE_BYTES]
        if signature.identify(head).name != rendition.format:  # no other header reader sees these bytes
            raise OutputError(f"format is not {rendition.format}")
        found = probe(BytesReader(rendition.data))
        actual = (found.format, *found.size, found.frames)
        expected = (rendition.format, rendition.width, rendition.height, found.frames if extras.frames else 1)
        if actual != expected:
            raise OutputError(f"format, width, height and frames are {actual}, not {expected}")
        SOURCE_FORMATS[rendition.format].check_output(rendition.data, extras)
    except Rejected as refused:
        raise OutputError(refused.detail) from refused
