"""EXIF: which way up a picture is."""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.probe.ifd import open_block, read_directory
from thumbsmith.probe.window import ShortRead, Window

ORIENTATION: Final = 0x0112

_PREFIX: Final = b"Exif\x00\x00"


def orientation(block: Window) -> int:
    """Return EXIF's orientation, 1 to 8, of an EXIF block with or without its "Exif" prefix.

    A block that is damaged, or says something else, counts as upright: metadata never costs a picture. Raises
    StoreError when the reader fails.
    """
    try:
        tiff = block.window(len(_PREFIX)) if block.read(0, len(_PREFIX)) == _PREFIX else block
        layout, offset = open_block(tiff)
        return upright_if_unknown(read_directory(tiff, layout, offset, frozenset({ORIENTATION})).first(ORIENTATION, 1))
    except (ShortRead, Rejected):
        return 1


def upright_if_unknown(value: int) -> int:
    """Return the orientation, or 1 for a number that is none."""
    return value if 1 <= value <= 8 else 1
