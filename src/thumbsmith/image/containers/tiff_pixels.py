"""Whether all strips or tiles of a TIFF are in the file: TIFF 6.0, sections 3 and 15, and its Technical Note 2.

libtiff fills a missing part with black or white, Pillow leaves it black, and neither reports it in every case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import tiff
from thumbsmith.image.containers.base import ShortRead, Window
from thumbsmith.image.containers.exif import open_block, read_directory

_STRIP_BYTES, _ROWS_PER_STRIP, _JPEG_START, _JPEG_BYTES = 279, 278, 513, 514
_TAGS: Final = frozenset(
    {
        *(tiff.WIDTH, tiff.LENGTH, tiff.BITS, tiff.COMPRESSION, tiff.PHOTOMETRIC, tiff.SAMPLES, tiff.PLANAR),
        *(_ROWS_PER_STRIP, tiff.TILE_WIDTH, tiff.TILE_LENGTH, tiff.SUBSAMPLING, _JPEG_START, _JPEG_BYTES),
    }
)
_PLACE_TAGS: Final = frozenset({tiff.STRIP_OFFSETS, _STRIP_BYTES, tiff.TILE_OFFSETS, tiff.TILE_BYTES})

_UNCOMPRESSED: Final = 1

# No strip begins before the end of the header.
_HEADER_BYTES: Final = 8

# An end marker must be among the last bytes of a JPEG. A byte of padding may follow.
_END: Final = re.compile(b"\xff\xd9")
_TAIL_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class _Grid:
    """How the strips or tiles of an image lie. `planes` is 1, or the number of samples if each has its own segments."""

    width: int
    height: int
    piece_width: int
    piece_height: int
    planes: int
    tiled: bool

    @property
    def count(self) -> int:
        """Return the number of strips or tiles."""
        return -(-self.width // self.piece_width) * -(-self.height // self.piece_height) * self.planes

    def rows(self, index: int, *, padded: bool) -> int:
        """Return how many rows are in a strip or tile: of the image, or if `padded` also those that fill a tile."""
        if padded and self.tiled:
            return self.piece_height
        across, down = -(-self.width // self.piece_width), -(-self.height // self.piece_height)
        row = index % (across * down) // across
        return min(self.piece_height, self.height - row * self.piece_height)


def require_pixels(data: Window, *, by_libvips: bool = False) -> None:
    """Raise if a strip or tile of the first image of a TIFF, which was probed before, is not whole in the file.

    Raises ShortRead if one lies beyond the end of the file, and Rejected(corrupt) if one has no place or no bytes, or
    is a JPEG without an end. Raises StoreError as the reader does. Pillow ignores the stated size of uncompressed
    data, and so does this function. libvips needs it for tiles, with the rows that fill a tile at the bottom.
    """
    layout, offset = open_block(data)
    fields = read_directory(data, layout, offset, _TAGS).fields
    grid = _grid(fields)
    places = read_directory(data, layout, offset, _PLACE_TAGS, most_values=grid.count).fields
    offsets = places.get(tiff.TILE_OFFSETS) or places.get(tiff.STRIP_OFFSETS) or ()
    sizes = places.get(tiff.TILE_BYTES) or places.get(_STRIP_BYTES) or ()
    if len(offsets) < grid.count or min(offsets) < _HEADER_BYTES:
        raise Rejected(Code.CORRUPT, "the TIFF does not say where all of its pixels are")
    compression = fields.get(tiff.COMPRESSION, (_UNCOMPRESSED,))[0]
    if compression == _UNCOMPRESSED:
        _require_uncompressed(fields, grid, offsets, sizes if by_libvips and grid.tiled else (), data.size)
        return
    # libtiff computes a missing size if there is only one strip. It ignores sizes of the old JPEG compression.
    may_lack_size = (grid.count == 1 and not grid.tiled) or _JPEG_START in fields
    if not may_lack_size and (len(sizes) < grid.count or not all(sizes)):
        raise Rejected(Code.CORRUPT, "the TIFF has a strip or tile without data")
    segments = list(zip_longest(offsets, sizes, fillvalue=0))
    whole_jpeg = fields.get(_JPEG_START, (0,))[0], fields.get(_JPEG_BYTES, (0,))[0]
    if any(start + size > data.size for start, size in (*segments, whole_jpeg)):
        raise ShortRead
    if compression in (tiff.JPEG, tiff.OLD_JPEG):
        for start, size in segments:
            # With the old compression, a strip of a stated size may be a part of a JPEG.
            if compression == tiff.JPEG or not size:
                _require_end(data, start, size)


def _grid(fields: Mapping[int, Sequence[int]]) -> _Grid:
    width, height = fields[tiff.WIDTH][0], fields[tiff.LENGTH][0]
    separate = fields.get(tiff.PLANAR, (1,))[0] == tiff.SEPARATE_PLANES
    planes = fields.get(tiff.SAMPLES, (1,))[0] if separate else 1
    tile = fields.get(tiff.TILE_WIDTH, (0,))[0], fields.get(tiff.TILE_LENGTH, (0,))[0]
    if all(tile):
        return _Grid(width, height, *tile, planes, tiled=True)
    rows = fields.get(_ROWS_PER_STRIP, (0,))[0] or height
    return _Grid(width, height, width, min(rows, height), planes, tiled=False)


def _require_uncompressed(
    fields: Mapping[int, Sequence[int]], grid: _Grid, offsets: Sequence[int], sizes: Sequence[int], file_size: int
) -> None:
    """Raise ShortRead unless the rows of each strip or tile are in a file of this size.

    Raises Rejected(corrupt) if one of `sizes`, if there are any, is smaller than the rows.
    """
    samples = 1 if grid.planes > 1 else fields.get(tiff.SAMPLES, (1,))[0]
    depth = max(fields.get(tiff.BITS, (1,)))
    columns, rows, values = 1, 1, samples  # of one block
    if fields.get(tiff.PHOTOMETRIC) == (tiff.YCBCR,) and samples == 3:
        columns, rows = (max(1, each) for each in fields.get(tiff.SUBSAMPLING, (2, 2)))
        values = columns * rows + 2
    blocks = -(-grid.piece_width // columns)
    row_bytes = -(-blocks * values * depth // 8)
    for index, (offset, size) in enumerate(zip_longest(offsets, sizes)):
        needed = -(-grid.rows(index, padded=bool(sizes)) // rows) * row_bytes
        if offset + needed > file_size:
            raise ShortRead
        if size is not None and size < needed:
            raise Rejected(Code.CORRUPT, "the TIFF has a tile with too little data")


def _require_end(data: Window, start: int, size: int) -> None:
    """Raise unless a JPEG has an end marker: libjpeg fills what is missing with gray.

    Raises ShortRead if the file ends before, and Rejected(truncated) if the JPEG does.
    """
    if not size:
        data.search(_END, len(_END.pattern), start)
        return
    tail = min(size, _TAIL_BYTES)
    if not _END.search(data.read(start + size - tail, tail)):
        raise Rejected(Code.TRUNCATED, "the TIFF contains a JPEG that ends before its picture does")
