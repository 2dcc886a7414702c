"""A source some of whose bytes are others."""

from __future__ import annotations

from dataclasses import dataclass

from thumbsmith.reader import RangeReader


@dataclass(frozen=True, slots=True)
class Patched:
    """A reader over a source with `edits` made to it: (offset, bytes)."""

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
