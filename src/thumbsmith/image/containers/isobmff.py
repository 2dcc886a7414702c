"""Boxes of the ISO base media file format, which HEIC and AVIF are built of. ISO/IEC 14496-12, section 4.

Where the data of items lie: the `iloc` box. ISO/IEC 14496-12, 8.11.3.

The tracks of an image sequence: an animated AVIF. ISO/IEC 14496-12, section 8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Window

_MAX_BOXES: Final = 4_096

# What an auxiliary picture is for, where it is alpha: as AVIF and as HEIC write it.
_ALPHA: Final = (
    b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0",
    b"urn:mpeg:hevc:2015:auxid:1\0",
)


class Box(NamedTuple):
    """A box: its four-letter type and what it holds."""

    kind: bytes
    body: Window


def boxes(data: Window, offset: int = 0) -> Iterator[Box]:
    """Yield the boxes that lie side by side from `offset` on.

    Raises Rejected(corrupt) or ShortRead for a box that does not fit into what holds it. Media data may be cut: it is
    for the decoder to judge.
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
    raise Rejected(Code.CORRUPT, f"there are more than {_MAX_BOXES} boxes side by side")


def find(data: Window, *path: bytes) -> Window | None:
    """Return the body of the first box along the path of types, or None. Raises as `boxes` does."""
    here = data
    for kind in path:
        found = next((box.body for box in boxes(here) if box.kind == kind), None)
        if found is None:
            return None
        here = found
    return here


def is_alpha(auxiliary: Window) -> bool:
    """Return whether the body of an `auxC` or `auxi` box says that a picture is the alpha of another."""
    name = auxiliary.window(4)
    return name.read(0, min(64, name.size)).startswith(_ALPHA)


# More than the tiles of any picture that is within the limits.
MAX_ITEMS: Final = 8_192

# Construction methods: offsets count from the start of the file, or of the `idat` box.
_FILE: Final = 0
_IDAT: Final = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where one item's data lie: `extents` are (offset, length), a length of 0 means up to the end."""

    method: int
    outside: bool  # in another file
    extents: tuple[tuple[int, int], ...]

    def windows(self, file: Window, idat: Window | None) -> tuple[Window, ...]:
        """Return the data as windows, in their order.

        Raises ShortRead where the file ends before they do, Rejected(unsupported_format) for data that are part of
        another item or file, Rejected(corrupt) for data that lie nowhere.
        """
        if self.outside or self.method not in (_FILE, _IDAT):
            raise Rejected(Code.UNSUPPORTED_FORMAT, "the picture is stored in another item or file, which is not read")
        holder = file if self.method == _FILE else idat
        if holder is None or not self.extents:
            raise Rejected(Code.CORRUPT, "the file does not say where the picture is stored")
        for offset, length in self.extents:
            holder.require(offset, length)
        return tuple(holder.window(offset, length or None) for offset, length in self.extents)


def read_places(places: Window) -> dict[int, Place]:
    """Return the place of each item, from the body of an `iloc` box. Raises Rejected(corrupt), ShortRead."""
    version, sizes, more = places.unpack("BxxxBB", 0)
    offsets, lengths, bases, indexes = sizes >> 4, sizes & 15, more >> 4, more & 15 if version else 0
    if not {offsets, lengths, bases, indexes} <= {0, 4, 8}:
        raise Rejected(Code.CORRUPT, "the file writes offsets in a way that no file can")
    number = 4 if version == 2 else 2
    count, at = _number(places, 6, number), 6 + number
    if count > MAX_ITEMS:
        raise Rejected(Code.CORRUPT, f"the file places {count} items")
    found: dict[int, Place] = {}
    for _ in range(count):
        item = _number(places, at, number)
        at += number
        method = _number(places, at, 2) & 15 if version else _FILE
        at += 2 if version else 0
        outside = _number(places, at, 2) != 0
        base, extents = _number(places, at + 2, bases), _number(places, at + 2 + bases, 2)
        at += 2 + bases + 2
        step = indexes + offsets + lengths
        spans = tuple(
            (base + _number(places, here + indexes, offsets), _number(places, here + indexes + offsets, lengths))
            for here in range(at, at + extents * step, step or 1)
        )
        at += extents * step
        found.setdefault(item, Place(method, outside, spans if step else ((base, 0),) * min(extents, 1)))
    return found


def _number(data: Window, offset: int, length: int) -> int:
    return int.from_bytes(data.read(offset, length), "big") if length else 0


@dataclass(frozen=True, slots=True)
class Track:
    """One track of AV1 pictures. `auxiliary` says that it belongs to another, `alpha` that it is its alpha."""

    width: int
    height: int
    frames: int
    auxiliary: bool
    alpha: bool
    configuration: tuple[Box, ...]


def read_tracks(moov: Window) -> tuple[Track, ...]:
    """Return the tracks of AV1 pictures in the body of a `moov` box. Raises Rejected(corrupt) for a broken one."""
    tracks = (_track(box.body) for box in boxes(moov) if box.kind == b"trak")
    return tuple(track for track in tracks if track)


def _track(body: Window) -> Track | None:
    header, table = find(body, b"tkhd"), find(body, b"mdia", b"minf", b"stbl")
    samples = (find(table, b"stsz") or find(table, b"stz2")) if table else None
    description = find(table, b"stsd") if table else None
    entry = next(boxes(description, 8), None) if description else None
    if header is None or samples is None or entry is None or entry.kind != b"av01":
        return None
    width, height = header.unpack(">II", 88 if header.byte(0) == 1 else 76)
    configuration = tuple(boxes(entry.body, 78))
    auxiliary = find(body, b"tref", b"auxl") is not None
    return Track(
        width=width >> 16,  # a fixed-point number, 16 bits on each side
        height=height >> 16,
        frames=samples.unpack(">I", 8)[0],
        auxiliary=auxiliary,
        alpha=auxiliary and any(box.kind == b"auxi" and is_alpha(box.body) for box in configuration),
        configuration=configuration,
    )
