"""The smaller copies that a TIFF holds of its first picture: a pyramid, each level half the one before.

TIFF 6.0, NewSubfileType (a reduced-resolution version of another image in this file); SubIFDs: Adobe PageMaker 6.0 TIFF
Technical Notes, 1. Copies of any other size are previews, which need not show what the picture shows.

TIFF and BigTIFF: the first picture's fields, and how many pictures there are.

TIFF 6.0, sections 3 to 8 and 18.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.exif import (
    ORIENTATION,
    Directory,
    Layout,
    next_directory,
    open_block,
    read_directory,
    upright_if_unknown,
)

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES = 256, 257, 258, 259, 262, 277
SUBFILE, ORIENTATION_TAG, SUB_DIRECTORIES, PROFILE = 254, 274, 330, 34675

TAGS: Final = frozenset(
    {WIDTH, LENGTH, BITS, PHOTOMETRIC, SAMPLES, SUBFILE, ORIENTATION_TAG, SUB_DIRECTORIES, PROFILE},
)
_REDUCED: Final = 1

# So many directories are looked at: no picture can be halved more often.
_MAX_LEVELS: Final = 32

# What a level shares with the picture that it is a copy of, as far as it is a number; and what both have or have not.
_SHARED: Final = (BITS, PHOTOMETRIC, SAMPLES, ORIENTATION_TAG)


class Level(NamedTuple):
    """A level: its size as stored, and where its directory is."""

    width: int
    height: int
    offset: int


def levels(data: Window, layout: Layout, first: Directory, following: Iterable[int]) -> tuple[Level, ...]:
    """Return the levels from half the size of the `first` picture downwards, as far as each is there.

    `following` are the offsets of the other directories. What cannot be read is no level. Raises StoreError as the
    reader does.
    """
    inside = first.fields.get(SUB_DIRECTORIES, ())
    found: dict[int, Level] = {}
    for offset in (*islice(following, _MAX_LEVELS), *inside):
        directory = _directory(data, layout, offset)
        if directory and (offset in inside or directory.first(SUBFILE, 0) & _REDUCED) and _alike(directory, first):
            level = Level(directory.first(WIDTH, 0), directory.first(LENGTH, 0), offset)
            found.setdefault(_halvings(level, first), level)
    count = next(step for step in range(1, len(found) + 2) if step not in found)
    return tuple(found[step] for step in range(1, count))


def _directory(data: Window, layout: Layout, offset: int) -> Directory | None:
    try:
        return read_directory(data, layout, offset, TAGS)
    except (ShortRead, Rejected):
        return None


def _alike(level: Directory, first: Directory) -> bool:
    same = all(level.fields.get(tag) == first.fields.get(tag) for tag in _SHARED)
    return same and (PROFILE in level.present) == (PROFILE in first.present)


def _halvings(level: Level, first: Directory) -> int:
    """Return how often the first picture was halved, rounded up or down, to give the level; 0 where it was not."""
    width, height = first.first(WIDTH, 0), first.first(LENGTH, 0)
    steps = round(width / level.width).bit_length() - 1 if level.width else 0
    scale = 1 << steps
    fits = abs(level.width * scale - width) < scale and abs(level.height * scale - height) < scale
    return steps if fits else 0


_TILE_WIDTH, _TILE_LENGTH, _EXTRA, _SAMPLE_FORMAT = 322, 323, 338, 339
_TAGS: Final = TAGS | {COMPRESSION, _TILE_WIDTH, _TILE_LENGTH, _EXTRA, _SAMPLE_FORMAT}
_RGB, _CMYK = 2, 5
_OLD_JPEG: Final = 6

_TILES, _TILE_SIZES = 324, 325

# None, CCITT, LZW, two kinds of JPEG, Deflate, uncompressed words, PackBits, Deflate, LZMA, Zstandard, WebP.
_COMPRESSIONS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 34925, 50000, 50001)

# Gray, RGB, palettes, CMYK, YCbCr and Lab.
_PHOTOMETRICS: Final = (0, 1, 2, 3, 5, 6, 8)

# Whole numbers without and with sign, floating point; not complex numbers.
_SAMPLE_FORMATS: Final = (1, 2, 3)

# ExtraSamples that Pillow takes for alpha: associated, unassociated, and what Corel Draw 10 writes.
_ALPHA: Final = (1, 2, 999)

# Pillow reads no picture with more.
_MAX_SAMPLES: Final = 6

# Counting pictures ends here: each may cost a request.
_MAX_PICTURES: Final = 1_000


def read(data: Window) -> Probe:
    """Return what the first directory of a TIFF says; `frames` counts the directories, a pyramid's levels among them.

    Raises Rejected for directories that are broken, ShortRead. The size is as stored: Pillow
    turns a TIFF by its orientation when it loads the pixels, and swaps `Image.size` already when it opens the file.
    """
    layout, offset = open_block(data)
    first = read_directory(data, layout, offset, _TAGS)
    width, height = first.first(WIDTH, 0), first.first(LENGTH, 0)
    if not (width and height):
        raise Rejected(Code.CORRUPT, "the TIFF's first picture has no size")
    samples = first.first(SAMPLES, 3 if first.first(COMPRESSION, 1) == _OLD_JPEG else 1)
    if not 1 <= samples <= _MAX_SAMPLES:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"this is a TIFF of {samples} samples a pixel, which is not read here")
    for name, tag, usual, known in (
        ("compression", COMPRESSION, 1, _COMPRESSIONS),
        ("photometric interpretation", PHOTOMETRIC, 0, _PHOTOMETRICS),
        ("sample format", _SAMPLE_FORMAT, 1, _SAMPLE_FORMATS),
    ):
        if (value := first.first(tag, usual)) not in known:
            raise Rejected(Code.UNSUPPORTED_FORMAT, f"this is a TIFF with the {name} {value}, which is not read here")
    following = _following(data, layout, offset, first.next)
    return Probe(
        format="tiff",
        bytes=data.size,
        width=width,
        height=height,
        orientation=upright_if_unknown(first.first(ORIENTATION, 1)),
        frames=1 + len(following),
        levels=len(levels(data, layout, first, following)),
        channels=samples,
        depth=max(first.fields.get(BITS, (1,))),
        alpha=_has_alpha(first, samples),
        piece=_tile_bytes(first, samples),
    )


def fields(data: Window) -> Mapping[int, tuple[int, ...]]:
    """Return the numbers of the first directory of a TIFF that was read before, by tag. Raises ShortRead."""
    layout, offset = open_block(data)
    return read_directory(data, layout, offset, _TAGS | {_TILES, _TILE_SIZES}).fields


def check_tiles(found: Mapping[int, tuple[int, ...]], size: int) -> None:
    """Raise ShortRead where a tile of these fields reaches beyond a file of this size: libvips leaves it black."""
    if any(
        start + length > size for start, length in zip(found.get(_TILES, ()), found.get(_TILE_SIZES, ()), strict=False)
    ):
        raise ShortRead


def pyramid_of(data: Window) -> tuple[Layout, tuple[Level, ...]]:
    """Return how a TIFF that was read before is laid out, and the levels of its pyramid."""
    layout, offset = open_block(data)
    first = read_directory(data, layout, offset, _TAGS)
    return layout, levels(data, layout, first, _following(data, layout, offset, first.next))


def _tile_bytes(directory: Directory, samples: int) -> int:
    """Return what a tile takes when it is unpacked, which may be more than the picture; 0 for a picture of strips."""
    pixels = directory.first(_TILE_WIDTH, 0) * directory.first(_TILE_LENGTH, 0)
    return -(-pixels * samples * max(directory.fields.get(BITS, (1,))) // 8)


def _has_alpha(directory: Directory, samples: int) -> bool:
    photometric = directory.first(PHOTOMETRIC, 0)
    if _EXTRA in directory.fields:
        return photometric != _CMYK and directory.first(_EXTRA, 0) in _ALPHA
    return photometric == _RGB and samples == 4


def _following(data: Window, layout: Layout, first: int, offset: int) -> tuple[int, ...]:
    """Return where the directories after the first are.

    One that lies beyond the file, or is cut, ends them. So does one that was there before, as in Pillow and libtiff.
    """
    found: list[int] = []
    seen = {first}
    while offset and offset not in seen and len(seen) < _MAX_PICTURES:
        try:
            following = next_directory(data, layout, offset)
        except ShortRead:
            break
        found.append(offset)
        seen.add(offset)
        offset = following
    return tuple(found)
