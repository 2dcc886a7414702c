"""Pictures that are put together from tiles, as telephones write them. ISO/IEC 23008-12, 6.6.2.3; 14496-12, 8.11.3."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.isobmff import Box, boxes
from thumbsmith.probe.items import MAX_ITEMS, Items
from thumbsmith.probe.window import Window


def check_grid(file: Window, meta: Window, items: Items) -> int:
    """Return how many pixels a tile of the primary item has, 0 where it is not a grid.

    Raises Rejected(corrupt), or ShortRead, for a grid whose tiles are not as many as it says, are not all of one size,
    leave a part of the picture open, or lie wholly outside of it: those would be decoded in vain.
    """
    parts = {box.kind: box.body for box in boxes(meta, 4)}
    if b"iinf" not in parts or b"iloc" not in parts or _kind(parts[b"iinf"], items.primary) != b"grid":
        return 0
    place = _place(parts[b"iloc"], items.primary)
    if place is None:
        raise Rejected(Code.CORRUPT, "the picture says nowhere how it is put together")
    inside, offset = place
    holder = parts.get(b"idat") if inside else file
    if holder is None:
        raise Rejected(Code.CORRUPT, "the picture says nowhere how it is put together")
    _, flags, rows, columns = holder.unpack(">BBBB", offset)
    size = holder.unpack(">II" if flags & 1 else ">HH", offset + 4)
    return _check_tiles(items, rows + 1, columns + 1, (size[0], size[1]))


def _check_tiles(items: Items, rows: int, columns: int, size: tuple[int, int]) -> int:
    sizes = {_size(items.properties.get(tile, ())) for tile in items.tiles}
    if len(items.tiles) != rows * columns or len(sizes) != 1:
        what = f"{len(items.tiles)} tiles of {len(sizes)} sizes"
        raise Rejected(Code.CORRUPT, f"the picture should have {rows} x {columns} tiles of one size, and has {what}")
    ((width, height),) = sizes
    reach = (columns * width, rows * height)
    idle = (reach[0] - width >= size[0], reach[1] - height >= size[1])
    if size != items.size or reach[0] < size[0] or reach[1] < size[1] or any(idle):
        what = f"{rows} x {columns} tiles of {width} x {height}"
        raise Rejected(Code.CORRUPT, f"{what} do not make a picture of {size[0]} x {size[1]}")
    return width * height


def _size(properties: Iterable[Box]) -> tuple[int, int]:
    for kind, body in properties:
        if kind == b"ispe":
            width, height = body.unpack(">II", 4)
            return width, height
    return 0, 0


def _kind(listed: Window, item: int) -> bytes | None:
    """Return the type of an item, from the body of an `iinf` box."""
    for kind, body in boxes(listed, 8 if listed.byte(0) else 6):
        if kind == b"infe" and (version := body.byte(0)) >= 2:
            layout, after = (">H", 8) if version == 2 else (">I", 10)
            if body.unpack(layout, 4)[0] == item:
                return body.read(after, 4)
    return None


def _place(places: Window, item: int) -> tuple[bool, int] | None:
    """Return whether an item's first bytes lie in `idat`, and where, from the body of an `iloc` box."""
    return next(((inside, offset) for number, inside, offset in _places(places) if number == item), None)


def _places(places: Window) -> Iterator[tuple[int, bool, int]]:
    """Yield number, whether it lies in `idat`, and the offset of the first extent, of each item."""
    version, sizes, more = places.unpack("BxxxBB", 0)
    offsets, lengths, bases, indexes = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    if not {offsets, lengths, bases, indexes} <= {0, 4, 8}:
        raise Rejected(Code.CORRUPT, "the file writes offsets in a way that no file can")
    number = 4 if version == 2 else 2
    count, at = _number(places, 6, number), 6 + number
    if count > MAX_ITEMS:
        raise Rejected(Code.CORRUPT, f"the file places {count} items")
    for _ in range(count):
        item = _number(places, at, number)
        at += number
        inside = bool(version) and _number(places, at, 2) & 15 == 1
        at += 4 if version else 2  # the construction; then the file that the data are in, which is this one
        base, extents = _number(places, at, bases), _number(places, at + bases, 2)
        at += bases + 2
        if extents:
            yield item, inside, base + _number(places, at + indexes, offsets)
        at += extents * (indexes + offsets + lengths)


def _number(data: Window, offset: int, length: int) -> int:
    return int.from_bytes(data.read(offset, length), "big") if length else 0
