"""HEIF files that are built item by item, from the coded tiles of `heic/tiles.heic`."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pillow_heif
from PIL import Image

from tests.containers.files import HEIC, box, ispe
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.isobmff import find
from thumbsmith.image.containers.items import Items, read_items
from thumbsmith.image.decode_heic import read
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import BytesReader

# 12 tiles of 64 x 64, which are items that a grid of 4 x 3 refers to, with a thumbnail of 128 x 96.
TILES = (Path(__file__).parent / "heic" / "tiles.heic").read_bytes()
SIDE = 64

AVIF_BRANDS = b"avif\0\0\0\0avifmif1miaf"

Reference = tuple[bytes, int, Sequence[int]]


@dataclass(frozen=True)
class Layout:
    """How `iloc` places data: its version, what offsets count from, in how many pieces, and by which method.

    The method is of the first item; None chooses the one that the item needs. With `spread`, each item's properties are
    listed in a separate box.
    """

    version: int = 1
    base: int = 0
    pieces: int = 1
    method: int | None = None
    spread: bool = False


@dataclass(frozen=True)
class Entry:
    """An item: its type, its properties as boxes, its data, and whether these are in `idat`."""

    kind: bytes
    properties: tuple[bytes, ...]
    data: bytes = b""
    inside: bool = False
    flags: int = 0

    def having(self, *properties: bytes) -> "Entry":
        """Return the item with more properties."""
        return replace(self, properties=(*self.properties, *properties))


def tile(number: int = 0) -> Entry:
    """Return a coded tile of the image, counted from the upper left."""
    items = read(SourceStream(BytesReader(TILES)))
    return _entry(items.of(items.tiles[number]))


def coded(picture: Image.Image) -> Entry:
    """Return a picture coded by x265, without its colors."""
    file = BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=80)
    return _entry(read(SourceStream(BytesReader(file.getvalue()))))


def alpha() -> Entry:
    """Return the coded alpha, 64 x 64, of another image: half of it is transparent."""
    items = read(SourceStream(BytesReader(HEIC)))
    return _entry(items.of(items.alpha_item))


def avif_items(picture: Image.Image) -> tuple[Entry, Entry | None]:
    """Return the coded colors and alpha of a picture, as libavif writes them."""
    file = BytesIO()
    picture.save(file, "AVIF", quality=90)
    window = Window.over(BytesReader(file.getvalue()))
    items = read_items(window, find(window, b"meta"))
    both = [items, *([items.of(items.alpha_item)] if items.alpha_item else [])]
    entries = [
        Entry(b"av01", tuple(box(kind, body.read_all()) for kind, body in each.properties[each.primary]), each.data)
        for each in both
    ]
    return entries[0], entries[1] if len(entries) > 1 else None


def _entry(items: Items) -> Entry:
    kept = [each for each in items.properties[items.primary] if each.kind in (b"hvcC", b"ispe", b"pixi", b"auxC")]
    return Entry(b"hvc1", tuple(box(kind, body.read(0, body.size)) for kind, body in kept), items.data)


def grid(columns: int, rows: int, width: int, height: int) -> Entry:
    """Return the item that describes a grid."""
    data = bytes((0, 1, rows - 1, columns - 1)) + struct.pack(">II", width, height)
    return Entry(b"grid", (ispe(width, height),), data, inside=True)


def irot(quarters: int) -> bytes:
    """Return a rotation by this number of quarters, anticlockwise."""
    return box(b"irot", bytes((quarters,)))


def imir(axis: int) -> bytes:
    """Return a mirroring: 0 swaps top and bottom, 1 left and right."""
    return box(b"imir", bytes((axis,)))


def clap(width: int, height: int, across: int, down: int) -> bytes:
    """Return a crop whose center is this number of half pixels from the center of the image."""
    return box(b"clap", struct.pack(">4IiIiI", width, 1, height, 1, across, 2, down, 2))


def heif(
    items: Sequence[Entry],
    references: Sequence[Reference] = (),
    *,
    primary: int = 1,
    brands: bytes = b"heic\0\0\0\0mif1heic",
    layout: Layout = Layout(),
    between: bytes = b"",
    last: bool = False,
) -> bytes:
    """Return a HEIF file of these items, numbered from 1.

    `between` are boxes before the data; with `last` the description follows the data.
    """
    head, file = box(b"ftyp", brands), b"".join(each.data for each in items if not each.inside)
    size = len(_meta(items, references, primary, 0, layout))
    start = len(head) + len(between) + 8 + (0 if last else size)
    meta = _meta(items, references, primary, start, layout)
    data = between + box(b"mdat", file)
    return head + (data + meta if last else meta + data)


def _meta(items: Sequence[Entry], references: Sequence[Reference], primary: int, start: int, layout: Layout) -> bytes:
    shared = list(dict.fromkeys(each for item in items for each in item.properties))
    entries, owners, places, offset, within = [], [], [], start, 0
    for number, item in enumerate(items, 1):
        entries.append(box(b"infe", bytes((2, 0, 0, item.flags)), struct.pack(">HH", number, 0), item.kind, b"\0"))
        indexes = [0x8000 | shared.index(each) + 1 for each in item.properties]
        owners.append(struct.pack(f">HB{len(indexes)}H", number, len(indexes), *indexes))
        method = int(item.inside) if layout.method is None or number > 1 else layout.method
        places.append(_place(number, len(item.data), within if item.inside else offset, method, layout))
        within, offset = within + len(item.data) * item.inside, offset + len(item.data) * (not item.inside)
    count = struct.pack(">I" if layout.version == 2 else ">H", len(items))
    return box(
        b"meta",
        bytes(4),
        box(b"hdlr", bytes(8), b"pict", bytes(13)),
        box(b"pitm", bytes(4), struct.pack(">H", primary)),
        box(b"iinf", bytes(4), struct.pack(">H", len(items)), *entries),
        box(b"iprp", box(b"ipco", *shared), *_owners(owners if layout.spread else [b"".join(owners)], len(items))),
        box(b"iref", bytes(4), *(_reference(*each) for each in references)) if references else b"",
        box(b"idat", *(each.data for each in items if each.inside)) if any(each.inside for each in items) else b"",
        box(b"iloc", bytes((layout.version, 0, 0, 0, 0x44, 0x40)), count, *places),
    )


def _owners(parts: list[bytes], count: int) -> list[bytes]:
    return [box(b"ipma", b"\0\0\0\1", struct.pack(">I", count // len(parts)), each) for each in parts]


def _place(number: int, length: int, at: int, method: int, layout: Layout) -> bytes:
    cuts = [length * part // max(layout.pieces, 1) for part in range(layout.pieces + 1)]
    base = min(layout.base, at)
    spans = b"".join(struct.pack(">II", at + cut - base, end - cut) for cut, end in pairwise(cuts))
    named = struct.pack(">I" if layout.version == 2 else ">H", number)
    construction = struct.pack(">H", method) if layout.version else b""
    return named + construction + struct.pack(">HIH", 0, base, layout.pieces) + spans


def _reference(kind: bytes, item: int, targets: Sequence[int]) -> bytes:
    return box(kind, struct.pack(f">HH{len(targets)}H", item, len(targets), *targets))
