"""EXIF: which way up a picture is."""

from __future__ import annotations

import struct
from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.probe.ifd import NUMBERS, Layout, open_block
from thumbsmith.probe.window import ShortRead, Window

ORIENTATION: Final = 0x0112

# Directories of EXIF have some dozens.
_MOST_ENTRIES: Final = 1_000

# A byte that pads follows, of any value.
_PREFIX: Final = b"Exif\x00"


def orientation(block: Window) -> int:
    """Return EXIF's orientation, 1 to 8, of an EXIF block with or without its "Exif" prefix.

    A block that is damaged, or says something else, counts as upright: metadata never costs a picture. Raises
    StoreError when the reader fails.
    """
    try:
        tiff = block.window(len(_PREFIX) + 1) if block.read(0, len(_PREFIX)) == _PREFIX else block
        layout, offset = open_block(tiff)
        return _orientation(tiff, layout, offset)
    except (ShortRead, Rejected):
        return 1


def _orientation(tiff: Window, layout: Layout, offset: int) -> int:
    """Return the first orientation in a directory that is one, else 1.

    Of a directory that claims more entries than its block holds those are read that are there, as browsers do.
    """
    (count,) = tiff.unpack(layout.count, offset)
    start = offset + struct.calcsize(layout.count)
    step = struct.calcsize(layout.entry)
    table = tiff.read(start, step * min(count, max(0, tiff.size - start) // step, _MOST_ENTRIES))
    for tag, kind, number, inline in struct.iter_unpack(layout.entry, table):
        if tag == ORIENTATION and kind in NUMBERS and number == 1:
            (value,) = struct.unpack_from(layout.order + NUMBERS[kind], inline)
            if upright_if_unknown(value) == value:
                return int(value)
    return 1


def upright_if_unknown(value: int) -> int:
    """Return the orientation, or 1 for a number that is none."""
    return value if 1 <= value <= 8 else 1
