"""Image file directories: the tagged fields of TIFF files and EXIF blocks, and EXIF's orientation.

TIFF 6.0, section 2; BigTIFF: https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import ShortRead, Window

ORIENTATION: Final = 0x0112

# A classic directory cannot have more entries. A BigTIFF directory that claims more is not believed.
_MAX_ENTRIES: Final = 65_535

# The directories of EXIF have a few dozen entries.
_MAX_EXIF_ENTRIES: Final = 1_000

# Most fields have one value per sample, and no supported image has more samples.
_MAX_VALUES: Final = 16

# Types of fields with integers -> the format of `struct`: BYTE, SHORT, LONG, IFD, LONG8, IFD8.
_INTEGER_TYPES: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}

# A padding byte of any value follows.
_EXIF_PREFIX: Final = b"Exif\x00"


@dataclass(frozen=True, slots=True)
class Layout:
    """How the directories of a file are written: `order` is the byte order mark of `struct`, `big` means BigTIFF."""

    order: str
    big: bool

    @property
    def offset_format(self) -> str:
        """Return the `struct` format of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def count_format(self) -> str:
        """Return the `struct` format of the number of entries."""
        return self.order + ("Q" if self.big else "H")

    @property
    def entry_format(self) -> str:
        """Return the `struct` format of an entry: tag, type, count, and the value or its offset."""
        return self.order + ("HHQ8s" if self.big else "HHI4s")


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory: the integers of each requested field, and the offset of the next directory, or 0.

    `present` are the requested tags that it has, with integers or other values.
    """

    fields: dict[int, tuple[int, ...]]
    next: int
    present: frozenset[int]

    def first(self, tag: int, default: int) -> int:
        """Return the first integer of a field, the default if the directory has no such field."""
        return self.fields.get(tag, (default,))[0]


def open_block(block: Window) -> tuple[Layout, int]:
    """Return the layout of a TIFF block, and the offset of its first directory.

    Raises Rejected(corrupt) or ShortRead for a block without a TIFF header.
    """
    mark, version = block.read(0, 2), block.read(2, 2)
    if mark not in (b"II", b"MM") or version not in (b"*\x00", b"\x00*", b"+\x00", b"\x00+"):
        raise Rejected(Code.CORRUPT, "the TIFF header is missing")
    layout = Layout("<" if mark == b"II" else ">", b"+" in version)
    return layout, block.unpack(layout.offset_format, 8 if layout.big else 4)[0]


def read_directory(
    block: Window, layout: Layout, offset: int, tags: frozenset[int], *, most_values: int = _MAX_VALUES
) -> Directory:
    """Return the directory at `offset` with the fields of these tags, and at most `most_values` integers of each.

    Raises Rejected(corrupt) or ShortRead for an impossible directory, such as one with two values of a tag: Pillow uses
    the last, libtiff the first.
    """
    count = _entry_count(block, layout, offset)
    start = offset + struct.calcsize(layout.count_format)
    table = block.read(start, count * struct.calcsize(layout.entry_format))
    fields: dict[int, tuple[int, ...]] = {}
    for tag, values in _fields(block, layout, table, tags, most_values):
        if fields.setdefault(tag, values) != values:
            raise Rejected(Code.CORRUPT, f"a directory gives tag {tag} two different values")
    present = frozenset(tag for tag, *_ in struct.iter_unpack(layout.entry_format, table) if tag in tags)
    return Directory(fields, _next_offset(block, layout, start + len(table)), present)


def next_directory(block: Window, layout: Layout, offset: int) -> int:
    """Return the offset of the directory after the one at `offset`, or 0. Raises as `read_directory`."""
    count = _entry_count(block, layout, offset)
    end = offset + struct.calcsize(layout.count_format) + count * struct.calcsize(layout.entry_format)
    block.require(offset, end - offset)
    return _next_offset(block, layout, end)


def _entry_count(block: Window, layout: Layout, offset: int) -> int:
    (count,) = block.unpack(layout.count_format, offset)
    if count > _MAX_ENTRIES:
        raise Rejected(Code.CORRUPT, f"a directory claims {count} entries")
    return count


def _fields(
    block: Window, layout: Layout, table: bytes, tags: frozenset[int], most_values: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    for tag, kind, count, inline in struct.iter_unpack(layout.entry_format, table):
        if tag in tags and kind in _INTEGER_TYPES and count:
            form = f"{layout.order}{min(count, most_values)}{_INTEGER_TYPES[kind]}"
            if count * struct.calcsize(_INTEGER_TYPES[kind]) <= len(inline):
                yield tag, struct.unpack_from(form, inline)
            else:
                yield tag, block.unpack(form, struct.unpack(layout.offset_format, inline)[0])


def _next_offset(block: Window, layout: Layout, offset: int) -> int:
    """Return the offset of the next directory, 0 for none. Many EXIF blocks end before this field: that is 0 too."""
    if offset + struct.calcsize(layout.offset_format) > block.size:
        return 0
    return block.unpack(layout.offset_format, offset)[0]


def orientation(block: Window) -> int:
    """Return the orientation, 1 to 8, of an EXIF block with or without its "Exif" prefix.

    A damaged block, or one with another value, counts as upright: no image is rejected for its metadata. Raises
    StoreError when the reader fails.
    """
    try:
        tiff = block.window(len(_EXIF_PREFIX) + 1) if block.read(0, len(_EXIF_PREFIX)) == _EXIF_PREFIX else block
        layout, offset = open_block(tiff)
        return _first_orientation(tiff, layout, offset)
    except (ShortRead, Rejected):
        return 1


def valid_orientation(value: int) -> int:
    """Return an orientation from 1 to 8 as it is, 1 for any other number."""
    return value if 1 <= value <= 8 else 1


def _first_orientation(tiff: Window, layout: Layout, offset: int) -> int:
    """Return the first valid orientation in a directory, else 1.

    If the directory claims more entries than its block contains, the existing ones are read, as browsers do.
    """
    (count,) = tiff.unpack(layout.count_format, offset)
    start = offset + struct.calcsize(layout.count_format)
    step = struct.calcsize(layout.entry_format)
    table = tiff.read(start, step * min(count, max(0, tiff.size - start) // step, _MAX_EXIF_ENTRIES))
    for tag, kind, number, inline in struct.iter_unpack(layout.entry_format, table):
        if tag == ORIENTATION and kind in _INTEGER_TYPES and number == 1:
            (value,) = struct.unpack_from(layout.order + _INTEGER_TYPES[kind], inline)
            if valid_orientation(value) == value:
                return int(value)
    return 1
