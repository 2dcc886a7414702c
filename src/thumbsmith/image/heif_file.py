"""Some items of a HEIF file in a file of their own, so that a decoder sees nothing else. ISO/IEC 23008-12, 14496-12."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.stream import Part, Spliced, part_length
from thumbsmith.reader import RangeReader

# Coded data that end in 64 zeros are incomplete: HEVC never has three zeros in a row within a unit (ITU-T H.265,
# 7.4.2), and AV1 ends with a bit that is set (AV1, 8.2.4), after which an encoder adds hardly any zeros.
MAX_ZEROS_AT_END: Final = 64

# Properties without which an item must not be displayed, and the bit that says so in an index of 16 bits.
_ESSENTIAL_PROPERTIES: Final = frozenset({b"hvcC", b"av1C", b"irot", b"imir", b"clap", b"lsel", b"a1op"})
_ESSENTIAL_BIT: Final = 0x8000


@dataclass(frozen=True, slots=True)
class Item:
    """An item to be written: its type, its properties as whole boxes, and its data, or where they are in the source."""

    kind: bytes
    properties: tuple[bytes, ...]
    data: tuple[Part, ...]

    @property
    def length(self) -> int:
        """Return the number of bytes of the data."""
        return sum(map(part_length, self.data))


def build_file(
    reader: RangeReader,
    brand: bytes,
    items: Sequence[Item],
    references: Iterable[tuple[bytes, int, Sequence[int]]] = (),
) -> Spliced:
    """Return a HEIF file of these items, numbered from 1. The first one is the primary item.

    A reference is (kind, item, items it points to). Data of the source are read when the file is read.
    """
    header = make_box(b"ftyp", brand, bytes(4), b"mif1miaf", brand)
    entries = [_entry(number, item) for number, item in enumerate(items, 1)]
    description = [
        _full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        _full_box(b"pitm", struct.pack(">H", 1)),
        _full_box(b"iinf", struct.pack(">H", len(items)), *entries),
        make_box(b"iprp", *_properties(items)),
        _full_box(b"iref", *(_reference(*each) for each in references)),
    ]
    data_start = len(header) + len(_meta(description, items, 0)) + 8  # after the header of the data box
    length = sum(item.length for item in items)
    header += _meta(description, items, data_start) + struct.pack(">I4s", length + 8, b"mdat")
    return Spliced(reader, (header, *(part for item in items for part in item.data)))


def check_end(tail: bytes) -> None:
    """Raise Rejected(truncated) if coded data end in zeros, as in a file that was copied in part.

    `tail` are at least the last 64 bytes of the data, all of shorter data. Decoders make a picture from zeros.
    """
    if not any(tail[-MAX_ZEROS_AT_END:]):
        raise Rejected(Code.TRUNCATED, "a part of the picture is missing: it is filled with zeros")


def make_box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box with this content."""
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _full_box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box with version 0 and no flags."""
    return make_box(kind, bytes(4), *parts)


def _entry(number: int, item: Item) -> bytes:
    return make_box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), item.kind, b"\0")


def _reference(kind: bytes, item: int, targets: Sequence[int]) -> bytes:
    return make_box(kind, struct.pack(f">HH{len(targets)}H", item, len(targets), *targets))


def _properties(items: Sequence[Item]) -> tuple[bytes, bytes]:
    """Return the box of all properties, each once, and the box that assigns them to items."""
    indexes = {each: index for index, each in enumerate(dict.fromkeys(p for item in items for p in item.properties), 1)}
    owners = []
    for number, item in enumerate(items, 1):
        own = [
            indexes[each] | (_ESSENTIAL_BIT if each[4:8] in _ESSENTIAL_PROPERTIES else 0) for each in item.properties
        ]
        owners.append(struct.pack(f">HB{len(own)}H", number, len(own), *own))
    wide_indexes = b"\0\0\0\1"
    return make_box(b"ipco", *indexes), make_box(b"ipma", wide_indexes, struct.pack(">I", len(items)), *owners)


def _meta(description: Iterable[bytes], items: Sequence[Item], start: int) -> bytes:
    """Return the `meta` box for consecutive data of items that begin at `start`."""
    places = []
    for number, item in enumerate(items, 1):
        places.append(struct.pack(">HHHII", number, 0, 1, start, item.length))
        start += item.length
    widths = b"\x44\0"  # offsets and lengths have 4 bytes each
    return _full_box(b"meta", *description, _full_box(b"iloc", widths, struct.pack(">H", len(items)), *places))
