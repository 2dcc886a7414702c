"""Range readers over a changed source (Spliced, Patched), and a source as a file for decoders (SourceStream)."""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, TypeAlias

from thumbsmith.image.containers.base import Window
from thumbsmith.reader import RangeReader

# Bytes, or a part of the source: its first offset, and the offset after its last byte.
Part: TypeAlias = bytes | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spliced:
    """A reader over `parts`, in this order. The source is read only where the parts are read."""

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
        """Return `length` bytes from `offset`, fewer at the end. Raises as the reader."""
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


@dataclass(frozen=True, slots=True)
class Patched:
    """A reader over a source with some bytes replaced by `edits`: (offset, bytes)."""

    reader: RangeReader
    edits: tuple[tuple[int, bytes], ...]

    @property
    def size(self) -> int:
        """Return the number of bytes, which is that of the source."""
        return self.reader.size

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from `offset`. Raises as the reader."""
        data = bytearray(self.reader.read(offset, length))
        for start, edit in self.edits:
            for index, byte in enumerate(edit, start - offset):
                if 0 <= index < len(data):
                    data[index] = byte
        return bytes(data)


# Bytes of one request. Decoders read 64 KiB and less at a time. A store answers few large requests faster than many
# small ones, and bills each: most photographs take one.
BLOCK_BYTES: Final = 4 << 20


class SourceStream:
    """A readable, seekable file over a range reader, with two facts that decoders hide.

    `failure` is the exception of the reader, if there was one: then the source is not to blame. `exhausted` is set when
    a read began at or beyond the end: then the source is cut.
    """

    def __init__(self, reader: RangeReader) -> None:
        self.failure: Exception | None = None
        self.exhausted = False
        self._reader = reader
        self._position = 0
        self._block = b""
        self._block_start = 0

    def read(self, length: int | None = -1, /) -> bytes:
        """Return the next `length` bytes, fewer at the end; all the rest for a negative length or None."""
        begin = self._position - self._block_start
        if length and 0 <= begin < begin + length <= len(self._block):  # decoders read a header in many small parts
            self._position += length
            return self._block[begin : begin + length]
        rest = max(self._reader.size - self._position, 0)
        if length is None or length < 0:
            length = rest
        elif length and not rest:
            self.exhausted = True
        data = self._bytes(self._position, min(length, rest))
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Set the position; return it. Raises ValueError for a position before the beginning."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._reader.size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def window(self) -> Window:
        """Return a window over the source. Reads through it move the position of the stream."""
        return Window.over(self.ranges())

    def ranges(self) -> RangeReader:
        """Return a range reader over the source. Reads through it move the position of the stream."""
        return _Ranges(self, self._reader.size)

    def _bytes(self, start: int, length: int) -> bytes:
        """Return bytes within the source. Short reads use a block that is read ahead."""
        if length >= BLOCK_BYTES:
            return self._fetch(start, length)
        begin = start - self._block_start
        if not 0 <= begin <= begin + length <= len(self._block):
            self._block = self._fetch(start, BLOCK_BYTES)
            self._block_start, begin = start, 0
        return self._block[begin : begin + length]

    def _fetch(self, start: int, length: int) -> bytes:
        try:
            return self._reader.read(start, length)
        except Exception as error:
            self.failure = error
            raise


@dataclass(frozen=True, slots=True)
class _Ranges:
    """A stream as a range reader, so that the stream records failures."""

    stream: SourceStream
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from `offset`, fewer at the end."""
        self.stream.seek(offset)
        return self.stream.read(length)
