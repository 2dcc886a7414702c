"""The items of a HEIF file: images, their properties and relations. ISO/IEC 23008-12 and 14496-12."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.isobmff import MAX_ITEMS, Box, Place, boxes, find, is_alpha, read_places

# An image may be derived from images that are derived from others, and have alpha. More levels are a circle.
_MAX_DEPTH: Final = 5

# The prescribed order of crop, rotation and mirroring (ISO/IEC 23000-22, 7.3.6.7).
_PRESCRIBED_ORDER: Final = {b"irot": 1, b"imir": 2}

# Properties of images with several layers: their decoder configuration and their operating points.
_LAYER_PROPERTIES: Final = frozenset({b"lhvC", b"oinf"})

# EXIF's orientation after a rotation by 90 degrees anticlockwise, after swapping top and bottom, and left and right.
# The index is the orientation before, 1 to 8.
_ANTICLOCKWISE: Final = (0, 8, 5, 6, 7, 4, 1, 2, 3)
_MIRRORED: Final = ((0, 4, 3, 2, 1, 8, 7, 6, 5), (0, 2, 1, 4, 3, 6, 5, 8, 7))


@dataclass(frozen=True, slots=True)
class Items:
    """What a `meta` box says, with one item as the primary one. A reference is (kind, item, items it points to)."""

    file: Window
    primary: int
    properties: dict[int, tuple[Box, ...]]
    references: tuple[tuple[bytes, int, tuple[int, ...]], ...]
    inputs: dict[int, tuple[int, ...]] = field(default_factory=dict)  # the items that an item is derived from
    alphas: dict[int, int] = field(default_factory=dict)  # item -> the item that is its alpha
    kinds: dict[int, bytes] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    idat: Window | None = None

    @property
    def kind(self) -> bytes | None:
        """Return the type of the primary item, None if it is not listed."""
        return self.kinds.get(self.primary)

    @property
    def windows(self) -> tuple[Window, ...]:
        """Return the primary item's data. Raises as `Place.windows` does."""
        place = self.places.get(self.primary)
        if place is None:
            raise Rejected(Code.CORRUPT, "the file does not say where the picture is stored")
        return place.windows(self.file, self.idat)

    @property
    def data(self) -> bytes:
        """Return the primary item's data in one piece. Raises as `windows` does, and what the reader raises."""
        return b"".join(part.read(0, part.size) for part in self.windows)

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the primary item, as stored. Raises Rejected(corrupt) unless it has one size.

        An identity derivation (`iden`) has the displayed size of the image that it refers to.
        """
        if self.kind == b"iden" and self.tiles:
            return self.of(self.tiles[0]).displayed_size
        sizes = {box.body.unpack(">II", 4) for box in self._own() if box.kind == b"ispe"}
        if len(sizes) != 1:
            raise Rejected(Code.CORRUPT, f"the picture has {len(sizes)} sizes")
        ((width, height),) = sizes
        return width, height

    @property
    def has_size(self) -> bool:
        """Return whether the primary item has a size property: alpha of an AVIF may leave it out."""
        return any(box.kind == b"ispe" for box in self._own())

    @property
    def layered(self) -> bool:
        """Return whether the primary item has more layers than the first, which may have other sizes."""
        return any(box.kind in _LAYER_PROPERTIES for box in self._own())

    @property
    def displayed_size(self) -> tuple[int, int]:
        """Return width and height of the primary item after crop and orientation."""
        (_, _, width, height), orientation = self.crop_and_orientation
        size = (width, height) if width else self.size
        return size[::-1] if orientation >= 5 else size

    @property
    def crop_and_orientation(self) -> tuple[tuple[int, int, int, int], int]:
        """Return the crop of the primary item, and the EXIF number of the orientation that follows it.

        The crop is left, top, width and height as stored, zeros for none. Crops, rotations and mirrorings apply in the
        order of the properties (ISO/IEC 23008-12, 6.5.1). A crop after a rotation is converted to one before it. Raises
        Rejected(corrupt) for a crop that is empty or larger than the image.
        """
        orientation, crop = 1, (0, 0, *self.size)
        for kind, body in self._own():
            if kind == b"irot":
                for _ in range(body.byte(0) & 3):
                    orientation = _ANTICLOCKWISE[orientation]
            elif kind == b"imir":
                orientation = _MIRRORED[body.byte(0) & 1][orientation]
            elif kind == b"clap":
                crop = _apply_crop(crop, orientation, body)
        return (crop if crop != (0, 0, *self.size) else (0, 0, 0, 0)), orientation

    @property
    def alpha(self) -> bool:
        """Return whether the primary item or one of its tiles has alpha."""
        return any(item in self.alphas for item in (self.primary, *self.tiles))

    @property
    def alpha_item(self) -> int:
        """Return the item that is the alpha of the primary item itself, 0 for none."""
        return self.alphas.get(self.primary, 0)

    def members(self) -> tuple[int, ...]:
        """Return all items of the image: the primary one, those it is derived from, and their alpha.

        An item is returned as often as it is used. Raises Rejected(corrupt) for too many, or a circle.
        """
        found: list[int] = []

        def walk(item: int, depth: int) -> None:
            if depth > _MAX_DEPTH or len(found) > MAX_ITEMS:
                raise Rejected(Code.CORRUPT, "the picture is derived from too many others")
            found.append(item)
            for part in self.inputs.get(item, ()):
                walk(part, depth + 1)
            if item in self.alphas:
                walk(self.alphas[item], depth + 1)

        walk(self.primary, 0)
        return tuple(found)

    @property
    def configuration(self) -> tuple[Box, ...]:
        """Return the properties of the primary item, then those of its first tile: they describe the samples."""
        return self._own() + tuple(box for tile in self.tiles[:1] for box in self.properties.get(tile, ()))

    def main_image(self) -> Items:
        """Return the items with the main image as the primary item: the one that a thumbnail or tone map belongs to.

        A tone map (`tmap`) is derived from an ordinary image and a gain map for high dynamic range (ISO 21496-1).
        """
        if self.kind == b"tmap" and self.tiles:
            return self.of(self.tiles[0])
        mains = (targets[0] for kind, item, targets in self.references if (kind, item) == (b"thmb", self.primary))
        return self.of(next(mains, self.primary))

    def in_prescribed_order(self) -> Items:
        """Return the items with the crop of the primary item before its rotation, and its mirroring last."""
        own = sorted(self._own(), key=lambda box: _PRESCRIBED_ORDER.get(box.kind, 0))
        return replace(self, properties={**self.properties, self.primary: tuple(own)})

    @property
    def colors(self) -> tuple[Box, ...]:
        """Return the color properties of the primary item itself: profiles and code points."""
        return tuple(box for box in self._own() if box.kind == b"colr")

    def of(self, item: int) -> Items:
        """Return the items with another one as the primary item."""
        return replace(self, primary=item)

    def _own(self) -> tuple[Box, ...]:
        return self.properties.get(self.primary, ())

    @property
    def tiles(self) -> tuple[int, ...]:
        """Return the items that the primary item is derived from, in their order."""
        return self.inputs.get(self.primary, ())


def _apply_crop(crop: tuple[int, int, int, int], orientation: int, clap: Window) -> tuple[int, int, int, int]:
    """Return the part of a crop that a clean aperture leaves, as stored; rounded as in libheif.

    ISO/IEC 14496-12, 12.1.4. The aperture refers to the image after `orientation`.
    """
    width, width_units, height, height_units = clap.unpack(">4I", 0)
    across, across_units, down, down_units = clap.unpack(">iIiI", 16)
    if not (width and width_units and height and height_units and across_units and down_units):
        raise Rejected(Code.CORRUPT, "the picture is cropped to nothing")
    part = ((width + width_units // 2) // width_units, (height + height_units // 2) // height_units)
    center = (across / across_units, down / down_units)
    if orientation >= 5:
        part, center = part[::-1], center[::-1]
    if orientation in (2, 3, 7, 8):
        center = (-center[0], center[1])
    if orientation in (3, 4, 6, 7):
        center = (center[0], -center[1])
    left, top, whole_width, whole_height = crop
    if not (1 <= part[0] <= whole_width and 1 <= part[1] <= whole_height):
        raise Rejected(Code.CORRUPT, f"the picture is cropped to {part[0]} x {part[1]}, more than its size")
    return left + _start(whole_width, part[0], center[0]), top + _start(whole_height, part[1], center[1]), *part


def _start(whole: int, part: int, off_center: float) -> int:
    """Return where a part of a side begins, if its center is `off_center` from the center of the side.

    The part never reaches outside of the side.
    """
    return min(max(0, round((whole - part) / 2 + off_center)), whole - part)


def read_items(file: Window, meta: Window) -> Items:
    """Return the items in the body of a file's `meta` box. Raises Rejected(corrupt) for a broken one, ShortRead."""
    children = {box.kind: box.body for box in boxes(meta, 4)}
    primary, properties, references = (children.get(kind) for kind in (b"pitm", b"iprp", b"iref"))
    listed, places = children.get(b"iinf"), children.get(b"iloc")
    if primary is None or properties is None:
        raise Rejected(Code.CORRUPT, "the file does not say which of its items is the picture")
    properties_of = _read_properties(properties)
    links = tuple(_read_references(references)) if references else ()
    (item,) = primary.unpack(_item_format(primary), 4)
    return Items(
        file,
        item,
        properties_of,
        links,
        _inputs(links),
        {
            target: each
            for kind, each, targets in reversed(links)
            if kind == b"auxl"
            and any(box.kind == b"auxC" and is_alpha(box.body) for box in properties_of.get(each, ()))
            for target in targets
            if target != each
        },
        _read_kinds(listed) if listed else {},
        read_places(places) if places else {},
        children.get(b"idat"),
    )


def _inputs(references: tuple[tuple[bytes, int, tuple[int, ...]], ...]) -> dict[int, tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    for kind, item, targets in references:
        if kind == b"dimg":
            found[item] = found.get(item, ()) + targets
    return found


def _read_kinds(listed: Window) -> dict[int, bytes]:
    """Return the type of each item, from the body of an `iinf` box."""
    found: dict[int, bytes] = {}
    for kind, body in boxes(listed, 8 if listed.byte(0) else 6):
        if kind == b"infe" and (version := body.byte(0)) >= 2:
            layout, after = (">H", 8) if version == 2 else (">I", 10)
            found.setdefault(body.unpack(layout, 4)[0], body.read(after, 4))
    return found


def _item_format(body: Window) -> str:
    """Return the `struct` format of item numbers in a box: 16 bits in its version 0, else 32."""
    return ">I" if body.byte(0) else ">H"


def _read_properties(iprp: Window) -> dict[int, tuple[Box, ...]]:
    """Return the properties of each item, in the order of its associations."""
    container = find(iprp, b"ipco")
    shared = tuple(boxes(container)) if container else ()
    found: dict[int, tuple[Box, ...]] = {}
    for body in (box.body for box in boxes(iprp) if box.kind == b"ipma"):
        number, wide = _item_format(body), body.byte(3) & 1
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


def _read_references(iref: Window) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    number = _item_format(iref)
    width = 2 if number == ">H" else 4
    for kind, body in boxes(iref, 4):
        (item,), (count,) = body.unpack(number, 0), body.unpack(">H", width)
        yield kind, item, body.unpack(f">{count}{number[1]}", width + 2)
