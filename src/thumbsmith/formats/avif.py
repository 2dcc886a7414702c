"""AVIF without its metadata items: damage of EXIF or XMP never costs the picture.

libavif refuses a file whose EXIF item is empty or broken; browsers show it. What an item is, its entry in `iinf` says:
ISO/IEC 14496-12, 8.11.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.formats.patched import Patched
from thumbsmith.probe.isobmff import boxes, find
from thumbsmith.probe.window import ShortRead, Window
from thumbsmith.reader import RangeReader

_METADATA: Final = frozenset({b"Exif", b"mime"})

# A type that no decoder knows, so that it passes over the item.
_UNKNOWN: Final = b"none"


def plain(reader: RangeReader) -> RangeReader:
    """Return an AVIF, which was probed before, whose metadata items are of a type that no decoder reads.

    Boxes that are broken are left to the decoder. Raises what the reader raises.
    """
    try:
        meta = find(Window.over(reader), b"meta")
        edits = tuple((place, _UNKNOWN) for place in _metadata(meta)) if meta else ()
    except (Rejected, ShortRead):
        return reader
    return Patched(reader, edits) if edits else reader


def _metadata(meta: Window) -> Iterator[int]:
    """Yield where in the file the type of each metadata item is."""
    items = next((box.body for box in boxes(meta, 4) if box.kind == b"iinf"), None)
    if items is None:
        return
    for kind, entry in boxes(items, 8 if items.byte(0) else 6):
        if kind == b"infe" and (version := entry.byte(0)) in (2, 3):
            place = 8 if version == 2 else 10
            if entry.read(place, 4) in _METADATA:
                yield entry.start + place
