"""The smaller copies that a TIFF holds of its first picture: a pyramid, each level half the one before.

TIFF 6.0, NewSubfileType (a reduced-resolution version of another image in this file); SubIFDs: Adobe PageMaker 6.0 TIFF
Technical Notes, 1. Copies of any other size are previews, which need not show what the picture shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final, NamedTuple

from thumbsmith.errors import Rejected
from thumbsmith.probe.ifd import Directory, Layout, read_directory
from thumbsmith.probe.window import ShortRead, Window

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES = 256, 257, 258, 259, 262, 277
SUBFILE, ORIENTATION, SUB_DIRECTORIES, PROFILE = 254, 274, 330, 34675

TAGS: Final = frozenset(
    {WIDTH, LENGTH, BITS, PHOTOMETRIC, SAMPLES, SUBFILE, ORIENTATION, SUB_DIRECTORIES, PROFILE},
)
_REDUCED: Final = 1

# So many directories are looked at: no picture can be halved more often.
_MAX_LEVELS: Final = 32

# What a level shares with the picture that it is a copy of, as far as it is a number; and what both have or have not.
_SHARED: Final = (BITS, PHOTOMETRIC, SAMPLES, ORIENTATION)


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
