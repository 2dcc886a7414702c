"""One level of a TIFF's pyramid, made to look like the only picture of the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from thumbsmith.probe import tiff
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import Window
from thumbsmith.reader import RangeReader


@dataclass(frozen=True, slots=True)
class Patched:
    """A source some of whose bytes are others: `edits` are (offset, bytes)."""

    reader: RangeReader
    edits: tuple[tuple[int, bytes], ...]

    @property
    def size(self) -> int:
        """Return the number of bytes, which stays."""
        return self.reader.size

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from `offset`, as the reader does."""
        data = bytearray(self.reader.read(offset, length))
        for start, edit in self.edits:
            for place, byte in enumerate(edit, start - offset):
                if 0 <= place < len(data):
                    data[place] = byte
        return bytes(data)


def at_level(reader: RangeReader, probe: Probe, shrink: int) -> tuple[RangeReader, Probe]:
    """Return the source and its facts with the level first whose sides are divided by `shrink`; for 1 as they are."""
    if shrink == 1:
        return reader, probe
    layout, levels = tiff.pyramid_of(Window.over(reader))
    level = levels[shrink.bit_length() - 2]
    # The header says where the first directory is; the decoder begins there and looks no further.
    edit = (8 if layout.big else 4, struct.pack(layout.word, level.offset))
    return Patched(reader, (edit,)), replace(probe, width=level.width, height=level.height)
