"""AVIF by Pillow, without parts that libavif refuses and browsers ignore: damaged metadata, unusual descriptions.

ISO/IEC 14496-12, 8.11.6 (`iinf`) and 23008-12.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Final, cast

from thumbsmith.errors import Rejected
from thumbsmith.image import pillow
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.isobmff import boxes, find
from thumbsmith.image.containers.items import Items, read_items
from thumbsmith.image.heif_file import MAX_ZEROS_AT_END, Item, build_file, check_end, make_box
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import Patched, SourceStream
from thumbsmith.reader import RangeReader

_METADATA_ITEMS: Final = frozenset({b"Exif", b"mime"})

# An item type that no decoder knows, so that it skips the item.
_UNKNOWN: Final = b"none"


def open_avif(stream: SourceStream, _probe: Probe) -> Image.Image:
    """Return an AVIF with its header read. Raises what Pillow raises."""
    plugin: Any = pillow.plugin("AvifImagePlugin")
    plugin.DEFAULT_MAX_THREADS = 1  # one image uses one core: other images need the others
    image: Image.Image = plugin.AvifImageFile(cast("IO[bytes]", stream))
    return image


def without_metadata(reader: RangeReader) -> RangeReader:
    """Return an AVIF, which was probed before, whose metadata items have a type that no decoder reads.

    libavif refuses a file with an empty or broken EXIF item. Broken boxes are for the decoder to judge. Raises what the
    reader raises.
    """
    try:
        meta = find(Window.over(reader), b"meta")
        edits = tuple((offset, _UNKNOWN) for offset in _metadata_types(meta)) if meta else ()
    except (Rejected, ShortRead):
        return reader
    return Patched(reader, edits) if edits else reader


def _metadata_types(meta: Window) -> Iterator[int]:
    """Yield the offset in the file of the type of each metadata item."""
    items = next((box.body for box in boxes(meta, 4) if box.kind == b"iinf"), None)
    if items is None:
        return
    for kind, entry in boxes(items, 8 if items.byte(0) else 6):
        if kind == b"infe" and (version := entry.byte(0)) in (2, 3):
            offset = 8 if version == 2 else 10
            if entry.read(offset, 4) in _METADATA_ITEMS:
                yield entry.start + offset


def check_ends(stream: SourceStream) -> None:
    """Raise Rejected(truncated) if the data of a still AVIF, of its tiles or its alpha end in zeros.

    Broken descriptions are for the decoder to judge. Raises what the reader raises.
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
            tail = min(last.size, MAX_ZEROS_AT_END)
            check_end(last.read(last.size - tail, tail))


def described_again(reader: RangeReader, probe: Probe) -> RangeReader | None:
    """Return a still AVIF with only the image, its tiles and its alpha, described in the simplest way.

    Browsers read associations in several boxes, alpha without a size (it has that of the image), and unknown groups and
    properties of other items. None if nothing can be described. Raises what the reader raises.
    """
    file = Window.over(reader)
    try:
        meta = find(file, b"meta")
        if meta is None or probe.frames > 1:
            return None
        items = read_items(file, meta)
        alpha = items.alpha_item
        of_alpha = (alpha, *items.of(alpha).tiles) if alpha else ()
        numbers = {item: number for number, item in enumerate((items.primary, *items.tiles, *of_alpha), 1)}
        references = [(b"dimg", numbers[each], [numbers[tile] for tile in items.of(each).tiles]) for each in numbers]
        if alpha:
            references.append((b"auxl", numbers[alpha], [1]))
        references += [(b"prem", 1, [numbers[alpha]]) for kind, *_ in items.references if alpha and kind == b"prem"]
        described = [_item(items.of(each), items) for each in numbers]
        return build_file(reader, b"avif", described, [each for each in references if each[2]])
    except (Rejected, ShortRead, KeyError):
        return None


def _item(items: Items, image: Items) -> Item:
    """Return the primary item for the file. If it has no size of its own, it gets that of the image."""
    properties = list(items.properties.get(items.primary, ()))
    if not any(each.kind == b"ispe" for each in properties):
        properties += [each for each in image.properties[image.primary] if each.kind == b"ispe"]
    boxed = tuple(make_box(kind, body.read_all()) for kind, body in properties)
    return Item(items.kind or b"av01", boxed, tuple((each.start, each.start + each.size) for each in items.windows))
