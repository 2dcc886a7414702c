"""The thumbnails that a HEIC holds of its picture, and the tiles that the picture is made of.

Each can be decoded alone: a copy of the file in which a few bytes are others names it as the picture. ISO/IEC 23008-12,
6.4.4 (thumb image) and 6.6.2.3 (grid).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.isobmff import boxes, find
from thumbsmith.probe.items import Items, read_items
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import ShortRead, Window

# Bytes of a file that are to be others: (offset, bytes).
Edits = tuple[tuple[int, bytes], ...]

_HIDDEN: Final = 1

# A reference of this kind means nothing to any reader.
_NONE: Final = b"none"


class Part(NamedTuple):
    """A picture inside the file: its size as stored, where it begins in the whole, and how to have it decoded alone."""

    width: int
    height: int
    left: int
    top: int
    edits: Edits


class Parts(NamedTuple):
    """What there is: thumbnails, from the smallest to the largest, and tiles."""

    previews: tuple[Part, ...]
    tiles: tuple[Part, ...]


def read_parts(data: Window, probe: Probe) -> Parts:
    """Return the thumbnails of the shape, turn and colours of the picture, and its tiles; none where there are no such.

    Pictures that are cropped, or have alpha, have none. Raises StoreError as the reader does.
    """
    meta = find(data, b"meta")
    if meta is None or probe.crop_width or probe.alpha:
        return Parts((), ())
    try:
        items = read_items(meta)
        previews = [_part(meta, items, item) for item in _thumbnails(items, probe)]
        return Parts(tuple(sorted(previews)), tuple(_tiles(meta, items, probe)) if previews else ())
    except (ShortRead, Rejected):
        return Parts((), ())


def _thumbnails(items: Items, probe: Probe) -> Iterator[int]:
    own = items.of(items.primary)
    for kind, item, targets in items.references:
        if kind == b"thmb" and items.primary in targets:
            each = items.of(item)
            width, height = each.size
            same_shape = abs(width * probe.height - height * probe.width) < probe.width
            if same_shape and each.orientation == own.orientation and not any(each.crop) and _same_colors(items, item):
                yield item


def _same_colors(items: Items, item: int) -> bool:
    """Return whether an item says of its colours what the picture says, or nothing."""
    said, expected = (
        {box.body.read(0, box.body.size) for box in items.properties.get(each, ()) if box.kind == b"colr"}
        for each in (item, items.primary)
    )
    return said <= expected


def _tiles(meta: Window, items: Items, probe: Probe) -> Iterator[Part]:
    """Yield the tiles that lie in the picture with all of their pixels: rows from the top, each from the left."""
    tiles = items.tiles
    if not tiles:
        return
    width, height = items.of(tiles[0]).size
    across = -(-probe.width // width)
    for number, item in enumerate(tiles):
        left, top = number % across * width, number // across * height
        if left + width <= probe.width and top + height <= probe.height:
            yield _part(meta, items, item)._replace(left=left, top=top)


def _part(meta: Window, items: Items, item: int) -> Part:
    """Return an item as a part at the origin."""
    children = {box.kind: box.body for box in boxes(meta, 4)}
    primary, entries, references = (children.get(kind) for kind in (b"pitm", b"iinf", b"iref"))
    if primary is None or entries is None or references is None:
        raise Rejected(Code.CORRUPT, "the file does not list its items")
    edits = [(primary.start + 4, item.to_bytes(4 if primary.byte(0) else 2, "big"))]
    for box in boxes(entries, 8 if entries.byte(0) else 6):
        wide = box.body.byte(0) > 2
        if box.body.unpack(">I" if wide else ">H", 4) == (item,):
            edits.append((box.body.start + 3, bytes((box.body.byte(3) & ~_HIDDEN,))))
    # A thumbnail, or a part of another picture, would not be taken for the picture.
    edits += [(box.body.start - 4, _NONE) for box in boxes(references, 4) if box.kind in (b"thmb", b"dimg")]
    return Part(*items.of(item).size, 0, 0, tuple(edits))
