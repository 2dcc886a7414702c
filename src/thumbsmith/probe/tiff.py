"""TIFF and BigTIFF: the first picture's fields, and how many pictures there are.

TIFF 6.0, sections 3 to 8 and 18.
"""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.exif import ORIENTATION, upright_if_unknown
from thumbsmith.probe.ifd import Directory, Layout, next_directory, open_block, read_directory
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import ShortRead, Window

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _EXTRA = 256, 257, 258, 259, 262, 277, 338
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_TAGS: Final = frozenset(
    {_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _EXTRA, _TILE_WIDTH, _TILE_LENGTH, ORIENTATION},
)
_RGB, _CMYK = 2, 5
_OLD_JPEG: Final = 6

# ExtraSamples that Pillow takes for alpha: associated, unassociated, and what Corel Draw 10 writes.
_ALPHA: Final = (1, 2, 999)

# Pillow reads no picture with more.
_MAX_SAMPLES: Final = 6

# Counting pictures ends here: each may cost a request.
_MAX_PICTURES: Final = 1_000


def read(data: Window) -> Probe:
    """Return what the first directory of a TIFF says; `frames` counts the directories, a pyramid's levels among them.

    Raises Rejected for directories that are broken or go round in a circle, ShortRead. The size is as stored: Pillow
    turns a TIFF by its orientation when it loads the pixels, and swaps `Image.size` already when it opens the file.
    """
    layout, offset = open_block(data)
    first = read_directory(data, layout, offset, _TAGS)
    width, height = first.first(_WIDTH, 0), first.first(_LENGTH, 0)
    if not (width and height):
        raise Rejected(Code.CORRUPT, "the TIFF's first picture has no size")
    samples = first.first(_SAMPLES, 3 if first.first(_COMPRESSION, 1) == _OLD_JPEG else 1)
    if not 1 <= samples <= _MAX_SAMPLES:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"this is a TIFF of {samples} samples a pixel, which is not read here")
    return Probe(
        format="tiff",
        bytes=data.size,
        width=width,
        height=height,
        orientation=upright_if_unknown(first.first(ORIENTATION, 1)),
        frames=_count_pictures(data, layout, offset, first.next),
        channels=samples,
        depth=max(first.fields.get(_BITS, (1,))),
        alpha=_has_alpha(first, samples),
        piece=_tile_bytes(first, samples),
    )


def _tile_bytes(directory: Directory, samples: int) -> int:
    """Return what a tile takes when it is unpacked, which may be more than the picture; 0 for a picture of strips."""
    pixels = directory.first(_TILE_WIDTH, 0) * directory.first(_TILE_LENGTH, 0)
    return -(-pixels * samples * max(directory.fields.get(_BITS, (1,))) // 8)


def _has_alpha(directory: Directory, samples: int) -> bool:
    photometric = directory.first(_PHOTOMETRIC, 0)
    if _EXTRA in directory.fields:
        return photometric != _CMYK and directory.first(_EXTRA, 0) in _ALPHA
    return photometric == _RGB and samples == 4


def _count_pictures(data: Window, layout: Layout, first: int, offset: int) -> int:
    """Return the number of directories. One that lies beyond the file, or is cut, ends them."""
    seen = {first}
    while offset and len(seen) < _MAX_PICTURES:
        if offset in seen:
            raise Rejected(Code.CORRUPT, "the TIFF's directories go round in a circle")
        try:
            following = next_directory(data, layout, offset)
        except ShortRead:
            break
        seen.add(offset)
        offset = following
    return len(seen)
