"""A source made of parts of another one and of bytes of our own: what a decoder stumbles over is left out."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from thumbsmith.reader import RangeReader

# Bytes, or a stretch of the source: its first offset, and the one after it.
Part: TypeAlias = bytes | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spliced:
    """A reader over `parts`, in this order. Nothing of the source is read before it is asked for."""

    reader: RangeReader
    parts: tuple[Part, ...]
    _ends: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", tuple(accumulate(map(part_length, self.parts))))

    @property
    def size(self) -> int:
        """Return the number of bytes of all parts."""
        return self._ends[-1] if self._ends else 0

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes from `offset`, `length` of them, or fewer where the parts end. Raises as the reader."""
        end = min(offset + length, self.size)
        pieces = []
        index = bisect_right(self._ends, offset)
        while offset < end:
            part = self.parts[index]
            start = offset - self._ends[index] + part_length(part)
            count = min(end, self._ends[index]) - offset
            piece = part[start : start + count] if isinstance(part, bytes) else self.reader.read(part[0] + start, count)
            pieces.append(piece)
            offset += len(piece)
            if len(piece) < count:
                break
            index += 1
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def part_length(part: Part) -> int:
    """Return the number of bytes of a part."""
    return len(part) if isinstance(part, bytes) else part[1] - part[0]
