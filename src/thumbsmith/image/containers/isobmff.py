"""Boxes of the ISO base media file format, which HEIC and AVIF consist of. ISO/IEC 14496-12.

Boxes in general (section 4), and the places of items (`iloc`, 8.11.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Window

_MAX_BOXES: Final = 4_096

# More than the tiles of any image that is within the limits.
MAX_ITEMS: Final = 8_192

# The boxes that describe the images contain no coded data: they have a few KiB, even for dozens of tiles.
_MAX_DESCRIPTION_BYTES: Final = 1 << 20

# The purpose of an auxiliary image that is alpha, as AVIF and as HEIC write it.
_ALPHA_TYPES: Final = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
)


class Box(NamedTuple):
    """A box: its type of four letters, and its content."""

    kind: bytes
    body: Window


def boxes(data: Window, offset: int = 0) -> Iterator[Box]:
    """Yield the consecutive boxes from `offset` on.

    Raises Rejected(corrupt) or ShortRead for a box that is longer than its container. Media data (`mdat`) may be cut:
    that is for the decoder to judge.
    """
    for _ in range(_MAX_BOXES):
        if offset + 8 > data.size:
            return
        size, kind, header = data.unpack(">I", offset)[0], data.read(offset + 4, 4), 8
        if size == 0:
            size = data.size - offset
        elif size == 1:
            size, header = data.unpack(">Q", offset + 8)[0], 16
        if size < header:
            raise Rejected(Code.CORRUPT, f"a box claims to be {size} bytes long")
        if kind != b"mdat":
            data.require(offset, size)
        yield Box(kind, data.window(offset + header, size - header))
        offset += size
    raise Rejected(Code.CORRUPT, f"there are more than {_MAX_BOXES} consecutive boxes")


def find(data: Window, *path: bytes) -> Window | None:
    """Return the body of the first box along the path of types, or None. Raises as `boxes` does."""
    body = data
    for kind in path:
        found = next((box.body for box in boxes(body) if box.kind == kind), None)
        if found is None:
            return None
        body = found
    return body


def find_description(file: Window, kind: bytes) -> Window | None:
    """Return the body of a top-level box, None without one. Raises Rejected(corrupt) if it is too long."""
    found = find(file, kind)
    if found and found.size > _MAX_DESCRIPTION_BYTES:
        raise Rejected(Code.CORRUPT, f"the description of the picture takes {found.size} bytes")
    return found


def is_alpha(auxiliary: Window) -> bool:
    """Return whether the body of an `auxC` or `auxi` box says that an image is the alpha of another."""
    name = auxiliary.window(4)
    return name.read(0, min(64, name.size)).startswith(_ALPHA_TYPES)


# Construction methods: offsets count from the start of the file, or of the `idat` box.
_IN_FILE: Final = 0
_IN_IDAT: Final = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where the data of one item are: `extents` are (offset, length); a length of 0 means up to the end."""

    method: int
    external: bool  # in another file
    extents: tuple[tuple[int, int], ...]

    def windows(self, file: Window, idat: Window | None) -> tuple[Window, ...]:
        """Return the data as windows, in their order.

        Raises ShortRead if the file ends before the data, Rejected(unsupported_format) for data in another item or
        file, Rejected(corrupt) for an item without a place.
        """
        if self.external or self.method not in (_IN_FILE, _IN_IDAT):
            raise Rejected(Code.UNSUPPORTED_FORMAT, "a picture that is stored in another item or file is not supported")
        container = file if self.method == _IN_FILE else idat
        if container is None or not self.extents:
            raise Rejected(Code.CORRUPT, "the file does not say where the picture is stored")
        for offset, length in self.extents:
            container.require(offset, length)
        return tuple(container.window(offset, length or None) for offset, length in self.extents)


def read_places(places: Window) -> dict[int, Place]:
    """Return the place of each item, from the body of an `iloc` box. Raises Rejected(corrupt), ShortRead."""
    version, sizes, more = places.unpack("BxxxBB", 0)
    offsets, lengths, bases, indexes = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    if not {offsets, lengths, bases, indexes} <= {0, 4, 8}:
        raise Rejected(Code.CORRUPT, "the file has offsets of an impossible length")
    number = 4 if version == 2 else 2
    count, at = _number(places, 6, number), 6 + number
    if count > MAX_ITEMS:
        raise Rejected(Code.CORRUPT, f"the file places {count} items")
    found: dict[int, Place] = {}
    for _ in range(count):
        item = _number(places, at, number)
        at += number
        method = _number(places, at, 2) & 15 if version else _IN_FILE
        at += 2 if version else 0
        external = _number(places, at, 2) != 0
        base, extents = _number(places, at + 2, bases), _number(places, at + 2 + bases, 2)
        at += 2 + bases + 2
        step = indexes + offsets + lengths
        spans = tuple(
            (base + _number(places, here + indexes, offsets), _number(places, here + indexes + offsets, lengths))
            for here in range(at, at + extents * step, step or 1)
        )
        at += extents * step
        found.setdefault(item, Place(method, external, spans if step else ((base, 0),) * min(extents, 1)))
    return found


def _number(data: Window, offset: int, length: int) -> int:
    return int.from_bytes(data.read(offset, length), "big") if length else 0
