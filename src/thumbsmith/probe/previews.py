"""The thumbnails that a HEIC holds of its picture. ISO/IEC 23008-12, 6.4.4."""

from __future__ import annotations

from collections.abc import Iterator

from thumbsmith.errors import Rejected
from thumbsmith.probe.items import Items
from thumbsmith.probe.types import Probe
from thumbsmith.probe.window import ShortRead


def read_previews(items: Items, probe: Probe) -> tuple[Items, ...]:
    """Return the thumbnails of the shape, turn and colors of the picture, from the smallest to the largest.

    Each comes as the items with it for the primary one. Pictures that are cropped, or have alpha, have none.
    """
    if probe.crop_width or probe.alpha:
        return ()
    try:
        return tuple(sorted(_thumbnails(items, probe), key=lambda each: each.size))
    except (ShortRead, Rejected):
        return ()


def _thumbnails(items: Items, probe: Probe) -> Iterator[Items]:
    for kind, item, targets in items.references:
        each = items.of(item)
        if kind == b"thmb" and items.primary in targets and each.kind == b"hvc1":
            width, height = each.size
            same_shape = abs(width * probe.height - height * probe.width) < probe.width
            if same_shape and each.view == items.view and _same_colors(items, item):
                yield each


def _same_colors(items: Items, item: int) -> bool:
    """Return whether an item says of its colors what the picture says, or nothing."""
    said, expected = (
        {box.body.read(0, box.body.size) for box in items.properties.get(each, ()) if box.kind == b"colr"}
        for each in (item, items.primary)
    )
    return said <= expected
