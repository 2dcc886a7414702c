"""Some items of a HEIF file in a file of their own, so that a decoder sees nothing else. ISO/IEC 23008-12, 14496-12."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.stream import Part, Spliced, part_length
from thumbsmith.reader import RangeReader

# Properties without which an item must not be shown.
_ESSENTIAL: Final = frozenset({b"hvcC", b"av1C", b"irot", b"imir", b"clap", b"lsel", b"a1op"})

# Zeros at the end of coded data that stand for data that are missing: HEVC never has three in a row within a unit
# (ITU-T H.265, 7.4.2), and AV1 ends with a bit that is set (AV1, 8.2.4), behind which an encoder adds hardly any.
ZEROS: Final = 64

# Of the index of a property in 16 bits, what says that it is essential.
_ESSENTIAL_BIT: Final = 0x8000


@dataclass(frozen=True, slots=True)
class Item:
    """An item to be written: its type, its properties as whole boxes, and its data, or where they are in the source."""

    kind: bytes
    properties: tuple[bytes, ...]
    data: tuple[Part, ...]


def written(
    reader: RangeReader,
    brand: bytes,
    items: Sequence[Item],
    references: Iterable[tuple[bytes, int, Sequence[int]]] = (),
) -> Spliced:
    """Return a HEIF file of these items, numbered from 1, of which the first is the picture.

    A reference is (kind, item, items it points at). Data are read from the source when they are asked for.
    """
    head = box(b"ftyp", brand, bytes(4), b"mif1miaf", brand)
    description = [
        _full_box(b"hdlr", bytes(4), b"pict", bytes(13)),
        _full_box(b"pitm", struct.pack(">H", 1)),
        _full_box(b"iinf", struct.pack(">H", len(items)), *(_entry(number, item) for number, item in _numbered(items))),
        box(b"iprp", *_properties(items)),
        _full_box(b"iref", *(_reference(*each) for each in references)),
    ]
    start = len(head) + len(_meta(description, items, 0)) + 8  # of the data, behind the header of their box
    lengths = sum(_length(item) for item in items)
    head += _meta(description, items, start) + struct.pack(">I4s", lengths + 8, b"mdat")
    return Spliced(reader, (head, *(part for item in items for part in item.data)))


def check_end(tail: bytes) -> None:
    """Raise Rejected(truncated) where coded data end in zeros, as of a file that was copied in part.

    `tail` are at least the last 64 bytes of the data. Decoders make a picture of zeros.
    """
    if not any(tail[-ZEROS:]):
        raise Rejected(Code.TRUNCATED, "a part of the picture is missing: there are zeros in its place")


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box."""
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def _numbered(items: Sequence[Item]) -> Iterable[tuple[int, Item]]:
    return enumerate(items, 1)


def _length(item: Item) -> int:
    return sum(map(part_length, item.data))


def _entry(number: int, item: Item) -> bytes:
    return box(b"infe", b"\2\0\0\0", struct.pack(">HH", number, 0), item.kind, b"\0")


def _reference(kind: bytes, item: int, targets: Sequence[int]) -> bytes:
    return box(kind, struct.pack(f">HH{len(targets)}H", item, len(targets), *targets))


def _properties(items: Sequence[Item]) -> tuple[bytes, bytes]:
    """Return the box of all properties, each once, and the box that says whose they are."""
    indexes = {each: index for index, each in enumerate(dict.fromkeys(p for item in items for p in item.properties), 1)}
    owners = []
    for number, item in _numbered(items):
        own = [indexes[each] | (_ESSENTIAL_BIT if each[4:8] in _ESSENTIAL else 0) for each in item.properties]
        owners.append(struct.pack(f">HB{len(own)}H", number, len(own), *own))
    wide = b"\0\0\0\1"
    return box(b"ipco", *indexes), box(b"ipma", wide, struct.pack(">I", len(items)), *owners)


def _meta(description: Iterable[bytes], items: Sequence[Item], start: int) -> bytes:
    """Return the `meta` box for data that begin at `start`, one item behind the other."""
    places = []
    for number, item in _numbered(items):
        places.append(struct.pack(">HHHII", number, 0, 1, start, _length(item)))
        start += _length(item)
    widths = b"\x44\0"  # offsets and lengths in 4 bytes each
    return _full_box(b"meta", *description, _full_box(b"iloc", widths, struct.pack(">H", len(items)), *places))


def _full_box(kind: bytes, *parts: bytes) -> bytes:
    return box(kind, bytes(4), *parts)
