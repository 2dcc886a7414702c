"""What a header reader returns, a Probe, and what it reads from, a Window."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.reader import RangeReader

# Frames are counted up to this number. It is far above what anyone watches or a recipe allows (max_frames).
MAX_FRAMES: Final = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the header of a source says. `width` and `height` are as stored: before crop and orientation."""

    format: str  # a name in formats.SOURCE_FORMATS
    bytes: int  # of the whole file
    width: int
    height: int
    crop_left: int = 0  # AVIF and HEIC: the visible part, before orientation; width and height 0 mean all of it
    crop_top: int = 0
    crop_width: int = 0
    crop_height: int = 0
    orientation: int = 1  # EXIF's 1 to 8; for AVIF and HEIC computed from irot and imir
    frames: int = 1
    channels: int = 3  # as stored: 1 gray or palette, 2 gray with alpha, 3, 4 (RGBA or CMYK)
    depth: int = 8  # bits per channel
    alpha: bool = False  # the image can be transparent
    interlaced: bool = False  # PNG Adam7, GIF
    progressive: bool = False  # JPEG SOF2, SOF10
    scans: int = 1  # JPEG: how many are decoded
    first_scan: int = 0  # progressive JPEG: end offset of the first scan where only that is decoded, at 1/8; else 0
    levels: int = 0  # TIFF: smaller copies, halved each time; HEIC, JPEG 2000: how often the decoder can halve it
    subsampled: bool = True  # JPEG: chroma is stored smaller than luma (decides the memory of a progressive JPEG)
    piece: int = (
        0  # TIFF: bytes of the largest tile; HEIC, AVIF, JPEG 2000: pixels of one tile; SVG, raw: of pictures in it
    )
    primaries: int = 0  # PNG, AVIF, HEIC: color primaries by ITU-T H.273; 0 where the file has none
    transfer: int = 0  # and transfer characteristics
    gamma: int = 0  # PNG: gAMA, the exponent times 100,000, where the file has nothing more exact; 0 for none
    chromaticities: str = ""  # PNG: cHRM in hexadecimal: x and y of white, red, green, blue, times 100,000
    hidden: bool = False  # PNG: its first image is no frame of its animation, and is not displayed
    page: int = 0  # PDF: the number of the page that is drawn, from 1
    metadata: int = 0  # JPEG: bytes of profiles, text and EXIF before the first scan, which its decoder keeps

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) as displayed, after crop and orientation."""
        width, height = self.crop_width or self.width, self.crop_height or self.height
        return (height, width) if self.orientation >= 5 else (width, height)


# The first block contains the header of nearly every file. Each adjacent block is twice as long, so that reading a
# whole file takes few requests. After a jump, over a color profile or to a directory, blocks start small again.
FIRST_BLOCK_BYTES: Final = 1 << 15
BLOCK_AFTER_JUMP_BYTES: Final = 1 << 12
MAX_BLOCK_BYTES: Final = 1 << 20


class ShortRead(Exception):
    """The file ends before something that must be in it."""


class Buffer:
    """The block of a source that was read last."""

    def __init__(self, reader: RangeReader) -> None:
        self._reader = reader
        self._start = 0
        self._block = b""
        self._next_bytes = FIRST_BLOCK_BYTES // 2
        self._max_gap_bytes = BLOCK_AFTER_JUMP_BYTES
        self.size = reader.size

    def locate(self, offset: int, length: int) -> tuple[bytes, int]:
        """Return a block that contains `length` bytes from `offset`, and their position in it.

        The bytes must lie within `size`. Raises StoreError when the reader fails, ShortRead when it returns fewer bytes
        than its size promises.
        """
        if not self._start <= offset <= offset + length <= self._start + len(self._block):
            self._fetch(offset, length)
        return self._block, offset - self._start

    def expect_walk(self) -> None:
        """Let blocks grow although parts between them are skipped: the file will be read to its end."""
        self._max_gap_bytes = MAX_BLOCK_BYTES

    def _fetch(self, offset: int, length: int) -> None:
        nearby = self._start <= offset <= self._start + len(self._block) + self._max_gap_bytes
        self._next_bytes = min(2 * self._next_bytes, MAX_BLOCK_BYTES) if nearby else BLOCK_AFTER_JUMP_BYTES
        self._block = self._reader.read(offset, min(max(length, self._next_bytes), self.size - offset))
        self._start = offset
        if len(self._block) < length:
            raise ShortRead


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a source: `size` bytes from `start`. Offsets count from its beginning.

    A read beyond its end raises ShortRead where the file is too short, else Rejected(corrupt): the structure claims
    more bytes than its container has. All methods that read raise StoreError as the reader does.
    """

    buffer: Buffer
    start: int
    size: int

    @classmethod
    def over(cls, reader: RangeReader) -> Window:
        """Return a window over a whole source."""
        return cls(Buffer(reader), 0, reader.size)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        block, begin = self._locate(offset, length)
        return block[begin : begin + length]

    def read_all(self) -> bytes:
        """Return all bytes of the window."""
        return self.read(0, self.size)

    def byte(self, offset: int) -> int:
        """Return the byte at `offset`."""
        block, begin = self._locate(offset, 1)
        return block[begin]

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        """Return the integers at `offset`; `layout` is a format string of `struct`."""
        block, begin = self._locate(offset, struct.calcsize(layout))
        return struct.unpack_from(layout, block, begin)

    def window(self, offset: int, size: int | None = None) -> Window:
        """Return the part from `offset`: `size` bytes, or to the end of this window, which it never exceeds."""
        rest = max(0, self.size - offset)
        return Window(self.buffer, self.start + offset, rest if size is None else min(size, rest))

    def require(self, offset: int, length: int) -> None:
        """Raise what a read of these bytes would raise, without reading them."""
        if offset + length > self.size:
            if self.start + offset + length > self.buffer.size:
                raise ShortRead
            raise Rejected(Code.CORRUPT, "a part of the header is longer than its container")

    def buffered(self, offset: int) -> memoryview:
        """Return the bytes from `offset` that are in the buffer, at least one."""
        block, begin = self._locate(offset, 1)
        return memoryview(block)[begin : begin + self.size - offset]

    def search(self, pattern: re.Pattern[bytes], width: int, offset: int) -> int:
        """Return the offset of the first match from `offset` on. The pattern must match exactly `width` bytes."""
        while True:
            block, begin = self._locate(offset, width)
            end = min(len(block), begin + self.size - offset)
            if match := pattern.search(block, begin, end):
                return offset + match.start() - begin
            offset += end - begin - width + 1

    def _locate(self, offset: int, length: int) -> tuple[bytes, int]:
        self.require(offset, length)
        return self.buffer.locate(self.start + offset, length)
