"""AVIF without what libavif refuses and browsers pass over: damage of EXIF or XMP, and unusual descriptions.

libavif refuses a file whose EXIF item is empty or broken. What an item is, its entry in `iinf` says: ISO/IEC 14496-12,
8.11.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.isobmff import boxes, find
from thumbsmith.image.containers.items import Items, read_items
from thumbsmith.image.heif_file import ZEROS, Item, box, check_end, written
from thumbsmith.image.stream import Patched, SourceStream
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


def check_ends(stream: SourceStream) -> None:
    """Raise Rejected(truncated) where zeros stand for the end of a still AVIF, its tiles or its alpha.

    Descriptions that are broken are left to the decoder. Raises what the reader raises.
    """
    file = stream.window()
    try:
        meta = find(file, b"meta")
        items = read_items(file, meta) if meta else None
        coded = [each for each in items.members() if items.kinds.get(each) == b"av01"] if items else []
    except (Rejected, ShortRead):
        return
    for each in coded:
        if items and each in items.places:
            last = items.of(each).windows[-1]
            tail = min(last.size, ZEROS)
            check_end(last.read(last.size - tail, tail))


def described_again(reader: RangeReader, probe: Probe) -> RangeReader | None:
    """Return a still AVIF of nothing but the picture, its tiles and its alpha, described in the plainest way.

    Browsers read associations that are spread over several boxes, alpha without a size (it has the picture's), and
    groups and properties of other items that they do not know. None where there is nothing to describe. Raises what
    the reader raises.
    """
    file = Window.over(reader)
    try:
        meta = find(file, b"meta")
        if meta is None or probe.frames > 1:
            return None
        items = read_items(file, meta)
        alpha = items.alpha_item
        parts = (items.primary, *items.tiles)
        more = (alpha, *items.of(alpha).tiles) if alpha else ()
        numbers = {item: number for number, item in enumerate((*parts, *more), 1)}
        references = [(b"dimg", numbers[each], [numbers[tile] for tile in items.of(each).tiles]) for each in numbers]
        if alpha:
            references.append((b"auxl", numbers[alpha], [1]))
        references += [(b"prem", 1, [numbers[alpha]]) for kind, *_ in items.references if alpha and kind == b"prem"]
        made = [_item(items.of(each), items) for each in numbers]
        return written(reader, b"avif", made, [each for each in references if each[2]])
    except (Rejected, ShortRead, KeyError):
        return None


def _item(items: Items, whole: Items) -> Item:
    """Return the primary item as it is to be written; without a size of its own it has that of the whole."""
    properties = list(items.properties.get(items.primary, ()))
    if not any(each.kind == b"ispe" for each in properties):
        properties += [each for each in whole.properties[whole.primary] if each.kind == b"ispe"]
    boxed = tuple(box(kind, body.read(0, body.size)) for kind, body in properties)
    return Item(items.kind or b"av01", boxed, tuple((each.start, each.start + each.size) for each in items.windows))


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
