"""What the header of a source says.

Windows on a source: bytes by offset, fetched in blocks, never beyond what is there.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.reader import RangeReader

# Counting frames ends here, far above what is watched or decoded: to count on would cost more than to decode the first.
MAX_FRAMES: Final = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a source is, by its header. `width` and `height` are as stored: before the crop and the turn."""

    format: str  # jpeg | png | gif | webp | tiff | bmp | avif | heic
    bytes: int  # of the whole file
    width: int
    height: int
    crop_left: int = 0  # AVIF and HEIC: the part of it that is seen, before the turn; width and height 0 are all
    crop_top: int = 0
    crop_width: int = 0
    crop_height: int = 0
    orientation: int = 1  # EXIF's 1 to 8; for AVIF and HEIC worked out from irot and imir
    frames: int = 1
    channels: int = 3  # of the stored picture: 1 grey or palette, 2 grey+alpha, 3, 4 (RGBA or CMYK)
    depth: int = 8  # bits a channel
    alpha: bool = False  # the picture can be transparent
    interlaced: bool = False  # PNG Adam7, GIF
    progressive: bool = False  # JPEG SOF2, SOF10
    scans: int = 1  # of a JPEG: those that are decoded
    first_scan: int = 0  # progressive JPEG: where the first scan ends, if that alone is decoded, at an eighth; else 0
    levels: int = 0  # TIFF: how often the picture is there once more, halved each time; HEIC: how often tiles can be
    subsampled: bool = True  # JPEG: chroma is stored smaller than luma (decides a progressive JPEG's memory)
    piece: int = 0  # TIFF: bytes of the largest strip or tile, unpacked; HEIC and AVIF: pixels of one tile
    primaries: int = (
        0  # PNG, AVIF, HEIC: code points of ITU-T H.273 for the colours and their curve; 0 where none are told
    )
    transfer: int = 0
    gamma: int = (
        0  # PNG: the exponent from light to level, times 100,000, where the file has nothing more exact; 0 for none
    )
    chromaticities: str = ""  # PNG: what cHRM holds, in hexadecimal: x and y of white, red, green, blue, times 100,000
    hidden: bool = False  # PNG: its first picture is no frame of its animation, and is not shown
    metadata: int = 0  # JPEG: bytes of profiles, texts and EXIF before the picture, which its decoder keeps

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) as seen, after the crop and the turn."""
        width, height = self.crop_width or self.width, self.crop_height or self.height
        return (height, width) if self.orientation >= 5 else (width, height)


# The first block holds the header of nearly every file. Each further one that is near is twice as long, so that a walk
# through a whole file costs few requests; after a jump, over a colour profile or to a directory, blocks start small.
FIRST_BLOCK: Final = 1 << 15
BLOCK_AFTER_JUMP: Final = 1 << 12
LARGEST_BLOCK: Final = 1 << 20


class ShortRead(Exception):
    """The file ends before something that must be there."""


class Buffer:
    """The block of a source that was read last."""

    def __init__(self, reader: RangeReader) -> None:
        self._reader = reader
        self._start = 0
        self._block = b""
        self._ahead = FIRST_BLOCK // 2
        self._leap = BLOCK_AFTER_JUMP
        self.size = reader.size

    def locate(self, offset: int, length: int) -> tuple[bytes, int]:
        """Return a block that holds `length` bytes from `offset`, all within `size`, and where in it they begin.

        Raises StoreError when the reader fails, ShortRead where it gives less than it promised.
        """
        if not self._start <= offset <= offset + length <= self._start + len(self._block):
            self._fetch(offset, length)
        return self._block, offset - self._start

    def expect_walk(self) -> None:
        """Have blocks grow though parts between them are skipped: what follows will be walked to its end."""
        self._leap = LARGEST_BLOCK

    def _fetch(self, offset: int, length: int) -> None:
        nearby = self._start <= offset <= self._start + len(self._block) + self._leap
        self._ahead = min(2 * self._ahead, LARGEST_BLOCK) if nearby else BLOCK_AFTER_JUMP
        self._block = self._reader.read(offset, min(max(length, self._ahead), self.size - offset))
        self._start = offset
        if len(self._block) < length:
            raise ShortRead


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a source: `size` bytes from `start`. Offsets count from its beginning.

    Reading beyond it raises ShortRead where the file ends before, else Rejected(corrupt): a structure that claims more
    than it holds.
    """

    buffer: Buffer
    start: int
    size: int

    @classmethod
    def over(cls, reader: RangeReader) -> Window:
        """Return the window that shows all of a source."""
        return cls(Buffer(reader), 0, reader.size)

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`."""
        block, begin = self._locate(offset, length)
        return block[begin : begin + length]

    def byte(self, offset: int) -> int:
        """Return the byte at `offset`."""
        block, begin = self._locate(offset, 1)
        return block[begin]

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        """Return the whole numbers at `offset`, laid out as `struct` writes it."""
        block, begin = self._locate(offset, struct.calcsize(layout))
        return struct.unpack_from(layout, block, begin)

    def window(self, offset: int, size: int | None = None) -> Window:
        """Return the part from `offset`, as long as asked for or to the end of this window, which it never exceeds."""
        rest = max(0, self.size - offset)
        return Window(self.buffer, self.start + offset, rest if size is None else min(size, rest))

    def require(self, offset: int, length: int) -> None:
        """Raise what reading these bytes would, without reading them."""
        if offset + length > self.size:
            if self.start + offset + length > self.buffer.size:
                raise ShortRead
            raise Rejected(Code.CORRUPT, "a part of the header is longer than what holds it")

    def ahead(self, offset: int) -> memoryview:
        """Return the bytes from `offset` that are at hand, at least one."""
        block, begin = self._locate(offset, 1)
        return memoryview(block)[begin : begin + self.size - offset]

    def search(self, pattern: re.Pattern[bytes], width: int, offset: int) -> int:
        """Return where the pattern, which matches `width` bytes, is found next from `offset` on."""
        while True:
            block, begin = self._locate(offset, width)
            end = min(len(block), begin + self.size - offset)
            if match := pattern.search(block, begin, end):
                return offset + match.start() - begin
            offset += end - begin - width + 1

    def _locate(self, offset: int, length: int) -> tuple[bytes, int]:
        self.require(offset, length)
        return self.buffer.locate(self.start + offset, length)
