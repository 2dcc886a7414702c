"""A source as the file that decoders expect."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from thumbsmith.probe.window import Window
from thumbsmith.reader import RangeReader

# Bytes asked for at a time. Decoders take 64 KiB and less; a store answers few large requests faster than many small,
# and bills each: most photographs come in one.
BLOCK: Final = 4 << 20


class SourceStream:
    """A readable, seekable file over a range reader, with two facts kept that decoders hide or blur.

    `failure` is what the reader raised, if it ever did: then it is not the picture that is wrong. `exhausted` says that
    bytes were asked for at or beyond the end: then the picture is not all there.
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
        rest = max(self._reader.size - self._position, 0)
        if length is None or length < 0:
            length = rest
        elif length and not rest:
            self.exhausted = True
        data = self._bytes(self._position, min(length, rest))
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a position; return it."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._reader.size}[whence]
        if start + offset < 0:
            raise ValueError("a position before the beginning")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def window(self) -> Window:
        """Return the same source to be read by offset."""
        return Window.over(_Ranges(self, self._reader.size))

    def _bytes(self, start: int, length: int) -> bytes:
        """Return bytes that are within the source; little ones through a block that is read ahead."""
        if length >= BLOCK:
            return self._fetch(start, length)
        within = start - self._block_start
        if not 0 <= within <= within + length <= len(self._block):
            self._block = self._fetch(start, BLOCK)
            self._block_start, within = start, 0
        return self._block[within : within + length]

    def _fetch(self, start: int, length: int) -> bytes:
        try:
            return self._reader.read(start, length)
        except Exception as error:
            self.failure = error
            raise


@dataclass(frozen=True, slots=True)
class _Ranges:
    """A stream as a range reader, so that it takes note of failures."""

    stream: SourceStream
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes from `offset`, fewer at the end."""
        self.stream.seek(offset)
        return self.stream.read(length)
