"""TIFF and BigTIFF: the first image, how many images follow, and the pyramid.

TIFF 6.0, sections 3 to 8 and 18. A pyramid is a set of smaller copies of the first image, each half the size of the one
before: NewSubfileType in TIFF 6.0 (a reduced-resolution version of another image in this file); SubIFDs: Adobe
PageMaker 6.0 TIFF Technical Notes, 1. Copies of any other size are previews, which may show something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import raw
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.exif import (
    ORIENTATION,
    Directory,
    Layout,
    next_directory,
    open_block,
    read_directory,
    valid_orientation,
)

SUBFILE, WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
STRIP_OFFSETS, SAMPLES, PLANAR, PREDICTOR, COLOR_MAP = 273, 277, 284, 317, 320
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING, PROFILE = 330, 338, 339, 530, 34675

# Values of these tags.
REDUCED_IMAGE: Final = 1
WHITE_IS_ZERO, RGB, CMYK, YCBCR, LAB = 0, 2, 5, 6, 8
OLD_JPEG, JPEG, LZMA, ZSTANDARD, WEBP = 6, 7, 34925, 50000, 50001
SIGNED, FLOATING_POINT = 2, 3
SEPARATE_PLANES: Final = 2

# Uncompressed, CCITT, LZW, both kinds of JPEG, Deflate, uncompressed words, PackBits, Deflate, LZMA, Zstandard, WebP.
_COMPRESSIONS: Final = (1, 2, 3, 4, 5, OLD_JPEG, JPEG, 8, 32771, 32773, 32946, LZMA, ZSTANDARD, WEBP)

# Gray, RGB, palettes, CMYK, YCbCr and Lab.
_PHOTOMETRICS: Final = (WHITE_IS_ZERO, 1, RGB, 3, CMYK, YCBCR, LAB)

# Unsigned and signed integers, floating point; not complex numbers.
_SAMPLE_FORMATS: Final = (1, SIGNED, FLOATING_POINT)

# ExtraSamples that Pillow reads as alpha: associated, unassociated, and what Corel Draw 10 writes.
_ALPHA_SAMPLES: Final = (1, 2, 999)

# Pillow reads no image with more.
_MAX_SAMPLES: Final = 6

# Images are counted up to this number: each may cost a request.
_MAX_IMAGES: Final = 1_000

# Directories that are read to find the pyramid: no image can be halved more often.
_MAX_LEVELS: Final = 32

# Integer tags that a level shares with its image. In addition, both have a profile or neither has.
_SHARED_TAGS: Final = (BITS, PHOTOMETRIC, SAMPLES, ORIENTATION)

_LEVEL_TAGS: Final = frozenset({WIDTH, LENGTH, SUBFILE, SUB_DIRECTORIES, PROFILE, *_SHARED_TAGS})
_TAGS: Final = _LEVEL_TAGS | {
    raw.MAKE,
    raw.DNG_VERSION,
    COMPRESSION,
    TILE_WIDTH,
    TILE_LENGTH,
    EXTRA_SAMPLES,
    SAMPLE_FORMAT,
}


def read(data: Window) -> Probe:
    """Return what the first directory of a TIFF says; `frames` counts all directories, also those of a pyramid.

    Raises Rejected for broken directories and unsupported images, ShortRead. The size is as stored: Pillow applies the
    orientation when it loads the pixels, and swaps `Image.size` already when it opens the file.
    """
    layout, offset = open_block(data)
    first = read_directory(data, layout, offset, _TAGS)
    if first.present & {raw.MAKE, raw.DNG_VERSION} and not layout.big and raw.is_raw(data):
        return raw.read(data)
    width, height = first.first(WIDTH, 0), first.first(LENGTH, 0)
    if not (width and height):
        raise Rejected(Code.CORRUPT, "the TIFF's first picture has no size")
    samples = first.first(SAMPLES, 3 if first.first(COMPRESSION, 1) == OLD_JPEG else 1)
    if not 1 <= samples <= _MAX_SAMPLES:
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"a TIFF of {samples} samples per pixel is not supported")
    for name, tag, default, supported in (
        ("compression", COMPRESSION, 1, _COMPRESSIONS),
        ("photometric interpretation", PHOTOMETRIC, 0, _PHOTOMETRICS),
        ("sample format", SAMPLE_FORMAT, 1, _SAMPLE_FORMATS),
    ):
        if (value := first.first(tag, default)) not in supported:
            raise Rejected(Code.UNSUPPORTED_FORMAT, f"a TIFF with the {name} {value} is not supported")
    following = _following_directories(data, layout, offset, first.next)
    return Probe(
        format="tiff",
        bytes=data.size,
        width=width,
        height=height,
        orientation=valid_orientation(first.first(ORIENTATION, 1)),
        frames=1 + len(following),
        levels=len(_levels(data, layout, first, following)),
        channels=samples,
        depth=max(first.fields.get(BITS, (1,))),
        alpha=_has_alpha(first, samples),
        piece=_tile_bytes(first, samples),
    )


def _has_alpha(directory: Directory, samples: int) -> bool:
    photometric = directory.first(PHOTOMETRIC, 0)
    if EXTRA_SAMPLES in directory.fields:
        return photometric != CMYK and directory.first(EXTRA_SAMPLES, 0) in _ALPHA_SAMPLES
    return photometric == RGB and samples == 4


def _tile_bytes(directory: Directory, samples: int) -> int:
    """Return the size of an uncompressed tile, which may be larger than the image; 0 for an image of strips."""
    pixels = directory.first(TILE_WIDTH, 0) * directory.first(TILE_LENGTH, 0)
    return -(-pixels * samples * max(directory.fields.get(BITS, (1,))) // 8)


def _following_directories(data: Window, layout: Layout, first: int, offset: int) -> tuple[int, ...]:
    """Return the offsets of the directories after the first.

    A directory that is cut or lies beyond the file ends them. So does a repeated one, as in Pillow and libtiff.
    """
    found: list[int] = []
    seen = {first}
    while offset and offset not in seen and len(seen) < _MAX_IMAGES:
        try:
            following = next_directory(data, layout, offset)
        except ShortRead:
            break
        found.append(offset)
        seen.add(offset)
        offset = following
    return tuple(found)


def fields(data: Window) -> Mapping[int, tuple[int, ...]]:
    """Return the integers of the first directory of a TIFF that was probed before, by tag. Raises ShortRead."""
    layout, offset = open_block(data)
    return read_directory(data, layout, offset, _TAGS).fields


class Level(NamedTuple):
    """A level of a pyramid: its size as stored, and the offset of its directory."""

    width: int
    height: int
    offset: int


def pyramid(data: Window) -> tuple[Layout, tuple[Level, ...]]:
    """Return the layout of a TIFF that was probed before, and the levels of its pyramid, from half its size down."""
    layout, offset = open_block(data)
    first = read_directory(data, layout, offset, _TAGS)
    return layout, _levels(data, layout, first, _following_directories(data, layout, offset, first.next))


def _levels(data: Window, layout: Layout, first: Directory, following: Iterable[int]) -> tuple[Level, ...]:
    """Return the levels from half the size of the `first` image down, without gaps.

    `following` are the offsets of the other directories. A directory that cannot be read is no level. Raises StoreError
    as the reader does.
    """
    sub_directories = first.fields.get(SUB_DIRECTORIES, ())
    found: dict[int, Level] = {}
    for offset in (*islice(following, _MAX_LEVELS), *sub_directories):
        directory = _read_level(data, layout, offset)
        if directory is None or not _is_same_kind(directory, first):
            continue
        if offset in sub_directories or directory.first(SUBFILE, 0) & REDUCED_IMAGE:
            level = Level(directory.first(WIDTH, 0), directory.first(LENGTH, 0), offset)
            found.setdefault(_halvings(level, first), level)
    count = next(step for step in range(1, len(found) + 2) if step not in found)
    return tuple(found[step] for step in range(1, count))


def _read_level(data: Window, layout: Layout, offset: int) -> Directory | None:
    try:
        return read_directory(data, layout, offset, _LEVEL_TAGS)
    except (ShortRead, Rejected):
        return None


def _is_same_kind(level: Directory, first: Directory) -> bool:
    same = all(level.fields.get(tag) == first.fields.get(tag) for tag in _SHARED_TAGS)
    return same and (PROFILE in level.present) == (PROFILE in first.present)


def _halvings(level: Level, first: Directory) -> int:
    """Return how often the first image was halved, rounded up or down, to make the level; 0 if it was not."""
    width, height = first.first(WIDTH, 0), first.first(LENGTH, 0)
    steps = round(width / level.width).bit_length() - 1 if level.width else 0
    scale = 1 << steps
    fits = abs(level.width * scale - width) < scale and abs(level.height * scale - height) < scale
    return steps if fits else 0
