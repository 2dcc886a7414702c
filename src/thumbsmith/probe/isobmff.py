"""Boxes of the ISO base media file format, which HEIC and AVIF are built of. ISO/IEC 14496-12, section 4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.probe.window import Window

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
