"""One level of a TIFF's pyramid, made to look like the only picture of the file."""

from __future__ import annotations

import struct
from dataclasses import replace

from thumbsmith.formats.patched import Patched
from thumbsmith.probe import tiff
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import Window
from thumbsmith.reader import RangeReader


def at_level(reader: RangeReader, probe: Probe, shrink: int) -> tuple[RangeReader, Probe]:
    """Return the source and its facts with the level first whose sides are divided by `shrink`; for 1 as they are."""
    if shrink == 1:
        return reader, probe
    layout, levels = tiff.pyramid_of(Window.over(reader))
    level = levels[shrink.bit_length() - 2]
    # The header says where the first directory is; the decoder begins there and looks no further.
    edit = (8 if layout.big else 4, struct.pack(layout.word, level.offset))
    return Patched(reader, (edit,)), replace(probe, width=level.width, height=level.height)
