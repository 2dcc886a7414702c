"""Image file directories: the tagged fields of TIFF, which EXIF blocks hold as well.

TIFF 6.0, section 2; BigTIFF: https://www.awaresystems.be/imaging/tiff/bigtiff.html.

EXIF: which way up a picture is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import ShortRead, Window

# A classic directory can hold no more entries than this; a BigTIFF one that claims more is not believed.
_MAX_ENTRIES: Final = 65_535

# Fields looked at here have a value for each sample, and no picture that is read has more samples than this.
_MAX_VALUES: Final = 16

# Field types that hold whole numbers, and how `struct` writes them: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
NUMBERS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file's directories are written: `order` is `struct`'s mark of the byte order."""

    order: str
    big: bool

    @property
    def word(self) -> str:
        """Return how `struct` writes an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        """Return how `struct` writes the number of entries."""
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> str:
        """Return how `struct` writes an entry: tag, type, count, and the value or its offset."""
        return self.order + ("HHQ8s" if self.big else "HHI4s")


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory: the whole numbers of each field asked for, at most 16, and where the next directory is, or 0.

    `present` are the tags asked for that are there, whatever they hold.
    """

    fields: dict[int, tuple[int, ...]]
    next: int
    present: frozenset[int]

    def first(self, tag: int, default: int) -> int:
        """Return the first number of a field, or the default where it is not there."""
        return self.fields.get(tag, (default,))[0]


def open_block(block: Window) -> tuple[Layout, int]:
    """Return how a TIFF block is laid out, and the offset of its first directory.

    Raises Rejected(corrupt) or ShortRead for what is none.
    """
    mark, version = block.read(0, 2), block.read(2, 2)
    if mark not in (b"II", b"MM") or version not in (b"*\x00", b"\x00*", b"+\x00", b"\x00+"):
        raise Rejected(Code.CORRUPT, "there is no TIFF header where one is announced")
    layout = Layout("<" if mark == b"II" else ">", b"+" in version)
    return layout, block.unpack(layout.word, 8 if layout.big else 4)[0]


def read_directory(block: Window, layout: Layout, offset: int, tags: frozenset[int]) -> Directory:
    """Return the directory at `offset` with the fields of these tags.

    Raises Rejected(corrupt) or ShortRead for a directory that cannot be, such as one that says two things of a tag:
    Pillow believes the last, libtiff the first.
    """
    (count,) = block.unpack(layout.count, offset)
    if count > _MAX_ENTRIES:
        raise Rejected(Code.CORRUPT, f"a directory claims {count} entries")
    start = offset + struct.calcsize(layout.count)
    table = block.read(start, count * struct.calcsize(layout.entry))
    fields: dict[int, tuple[int, ...]] = {}
    for tag, values in _fields(block, layout, table, tags):
        if fields.setdefault(tag, values) != values:
            raise Rejected(Code.CORRUPT, f"a directory gives tag {tag} two different values")
    present = frozenset(tag for tag, *_ in struct.iter_unpack(layout.entry, table) if tag in tags)
    return Directory(fields, _next(block, layout, start + len(table)), present)


def next_directory(block: Window, layout: Layout, offset: int) -> int:
    """Return where the directory after the one at `offset` is, or 0. Raises as `read_directory`; reads no field."""
    (count,) = block.unpack(layout.count, offset)
    if count > _MAX_ENTRIES:
        raise Rejected(Code.CORRUPT, f"a directory claims {count} entries")
    end = offset + struct.calcsize(layout.count) + count * struct.calcsize(layout.entry)
    block.require(offset, end - offset)
    return _next(block, layout, end)


def _fields(block: Window, layout: Layout, table: bytes, tags: frozenset[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    for tag, kind, count, inline in struct.iter_unpack(layout.entry, table):
        if tag in tags and kind in NUMBERS and count:
            form = f"{layout.order}{min(count, _MAX_VALUES)}{NUMBERS[kind]}"
            if count * struct.calcsize(NUMBERS[kind]) <= len(inline):
                yield tag, struct.unpack_from(form, inline)
            else:
                yield tag, block.unpack(form, struct.unpack(layout.word, inline)[0])


def _next(block: Window, layout: Layout, offset: int) -> int:
    """Return the offset of the next directory: 0 for none, and where the block ends instead, as many EXIF blocks do."""
    if offset + struct.calcsize(layout.word) > block.size:
        return 0
    return block.unpack(layout.word, offset)[0]


ORIENTATION: Final = 0x0112

# Directories of EXIF have some dozens.
_MOST_ENTRIES: Final = 1_000

# A byte that pads follows, of any value.
_PREFIX: Final = b"Exif\x00"


def orientation(block: Window) -> int:
    """Return EXIF's orientation, 1 to 8, of an EXIF block with or without its "Exif" prefix.

    A block that is damaged, or says something else, counts as upright: metadata never costs a picture. Raises
    StoreError when the reader fails.
    """
    try:
        tiff = block.window(len(_PREFIX) + 1) if block.read(0, len(_PREFIX)) == _PREFIX else block
        layout, offset = open_block(tiff)
        return _orientation(tiff, layout, offset)
    except (ShortRead, Rejected):
        return 1


def _orientation(tiff: Window, layout: Layout, offset: int) -> int:
    """Return the first orientation in a directory that is one, else 1.

    Of a directory that claims more entries than its block holds those are read that are there, as browsers do.
    """
    (count,) = tiff.unpack(layout.count, offset)
    start = offset + struct.calcsize(layout.count)
    step = struct.calcsize(layout.entry)
    table = tiff.read(start, step * min(count, max(0, tiff.size - start) // step, _MOST_ENTRIES))
    for tag, kind, number, inline in struct.iter_unpack(layout.entry, table):
        if tag == ORIENTATION and kind in NUMBERS and number == 1:
            (value,) = struct.unpack_from(layout.order + NUMBERS[kind], inline)
            if upright_if_unknown(value) == value:
                return int(value)
    return 1


def upright_if_unknown(value: int) -> int:
    """Return the orientation, or 1 for a number that is none."""
    return value if 1 <= value <= 8 else 1
