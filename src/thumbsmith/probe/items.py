"""The items of a HEIF file: pictures, their properties, and how they belong together. ISO/IEC 23008-12 and 14496-12."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.isobmff import Box, boxes, find, is_alpha
from thumbsmith.probe.window import Window

# More than the tiles of any picture that is within the limits.
MAX_ITEMS: Final = 8_192

# EXIF's orientation after one more quarter turn anticlockwise, after swapping top and bottom, and left and right:
# what stands at the place of the orientation before, 1 to 8.
_ANTICLOCKWISE: Final = (0, 8, 5, 6, 7, 4, 1, 2, 3)
_MIRRORED: Final = ((0, 4, 3, 2, 1, 8, 7, 6, 5), (0, 2, 1, 4, 3, 6, 5, 8, 7))


@dataclass(frozen=True, slots=True)
class Items:
    """What a `meta` box says. A reference is (kind, item, items it points at)."""

    primary: int
    properties: dict[int, tuple[Box, ...]]
    references: tuple[tuple[bytes, int, tuple[int, ...]], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the primary item, as stored. Raises Rejected(corrupt) where it has no one size."""
        sizes = {box.body.unpack(">II", 4) for box in self._own() if box.kind == b"ispe"}
        if len(sizes) != 1:
            raise Rejected(Code.CORRUPT, f"the picture has {len(sizes)} sizes")
        ((width, height),) = sizes
        return width, height

    @property
    def crop(self) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the clean aperture, rounded as libheif does, or zeros without one.

        Raises Rejected(corrupt) for one that is empty or larger than the picture. ISO/IEC 14496-12, 12.1.4.
        """
        box = next((box for box in self._own() if box.kind == b"clap"), None)
        if box is None:
            return 0, 0, 0, 0
        width, width_units, height, height_units = box.body.unpack(">4I", 0)
        across, across_units, down, down_units = box.body.unpack(">iIiI", 16)
        if not (width and width_units and height and height_units and across_units and down_units):
            raise Rejected(Code.CORRUPT, "the picture is cropped to nothing")
        width, height = (width + width_units // 2) // width_units, (height + height_units // 2) // height_units
        if not (1 <= width <= self.size[0] and 1 <= height <= self.size[1]):
            raise Rejected(Code.CORRUPT, f"the picture is cropped to {width} x {height}, more than there is")
        left = _start(self.size[0], width, across / across_units)
        return left, _start(self.size[1], height, down / down_units), width, height

    @property
    def orientation(self) -> int:
        """Return EXIF's number for the primary item's turns and mirrors, applied in the order they are listed in."""
        orientation = 1
        for kind, body in self._own():
            if kind == b"irot":
                for _ in range(body.byte(0) & 3):
                    orientation = _ANTICLOCKWISE[orientation]
            elif kind == b"imir":
                orientation = _MIRRORED[body.byte(0) & 1][orientation]
        return orientation

    @property
    def alpha(self) -> bool:
        """Return whether an alpha picture belongs to the primary item or to one of its tiles."""
        family = {self.primary, *self.tiles}
        return any(
            kind == b"auxl" and family.intersection(targets) and self._is_alpha(item)
            for kind, item, targets in self.references
        )

    @property
    def configuration(self) -> tuple[Box, ...]:
        """Return the properties of the primary item, then those of its first tile: what they tell of samples."""
        return self._own() + tuple(box for tile in self.tiles[:1] for box in self.properties.get(tile, ()))

    def of(self, item: int) -> Items:
        """Return the same with another item for the primary one."""
        return replace(self, primary=item)

    def _own(self) -> tuple[Box, ...]:
        return self.properties.get(self.primary, ())

    @property
    def tiles(self) -> tuple[int, ...]:
        """Return the items that the primary item is put together from, in their order."""
        return tuple(
            target
            for kind, item, targets in self.references
            if kind == b"dimg" and item == self.primary
            for target in targets
        )

    def _is_alpha(self, item: int) -> bool:
        return any(box.kind == b"auxC" and is_alpha(box.body) for box in self.properties.get(item, ()))


def _start(whole: int, part: int, off_center: float) -> int:
    """Return where a part of a side begins whose middle lies so far from the side's; never outside of it."""
    return min(max(0, round((whole - part) / 2 + off_center)), whole - part)


def read_items(meta: Window) -> Items:
    """Return the items in the body of a `meta` box. Raises Rejected(corrupt) for one that cannot be, ShortRead."""
    children = {box.kind: box.body for box in boxes(meta, 4)}
    primary, properties, references = (children.get(kind) for kind in (b"pitm", b"iprp", b"iref"))
    if primary is None or properties is None:
        raise Rejected(Code.CORRUPT, "the file does not say which of its items is the picture")
    return Items(
        primary.unpack(_id(primary), 4)[0],
        _properties(properties),
        tuple(_references(references)) if references else (),
    )


def _id(body: Window) -> str:
    """Return how a box writes item numbers: in 16 bits in its version 0, then in 32."""
    return ">I" if body.byte(0) else ">H"


def _properties(iprp: Window) -> dict[int, tuple[Box, ...]]:
    """Return the properties of each item, in the order of its associations."""
    container = find(iprp, b"ipco")
    shared = tuple(boxes(container)) if container else ()
    found: dict[int, tuple[Box, ...]] = {}
    for body in (box.body for box in boxes(iprp) if box.kind == b"ipma"):
        number, wide = _id(body), body.byte(3) & 1
        offset = 8
        (entries,) = body.unpack(">I", 4)
        if entries > MAX_ITEMS:
            raise Rejected(Code.CORRUPT, f"the file describes {entries} items")
        for _ in range(entries):
            item, count = body.unpack(f"{number}B", offset)
            offset += 3 if number == ">H" else 5
            layout = f">{count}{'H' if wide else 'B'}"
            indexes = [each & (0x7FFF if wide else 0x7F) for each in body.unpack(layout, offset)]
            offset += count * (1 + wide)
            found[item] = tuple(shared[index - 1] for index in indexes if 1 <= index <= len(shared))
    return found


def _references(iref: Window) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    number = _id(iref)
    width = 2 if number == ">H" else 4
    for kind, body in boxes(iref, 4):
        (item,), (count,) = body.unpack(number, 0), body.unpack(">H", width)
        yield kind, item, body.unpack(f">{count}{number[1]}", width + 2)
