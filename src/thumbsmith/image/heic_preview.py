"""The thumbnail that a HEIC contains, in place of its picture: if it is large enough, and shows the same.

ISO/IEC 23008-12, 6.4.4.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from thumbsmith.errors import MissingDecoder, Rejected
from thumbsmith.image import decode_heic, transform
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers.base import Probe, ShortRead
from thumbsmith.image.containers.heif import Grid, read_grid
from thumbsmith.image.containers.items import Items
from thumbsmith.image.geometry import CASCADE_MARGIN, Box, scale_box
from thumbsmith.image.pillow import Image, ImageChops, ImageStat
from thumbsmith.image.stream import SourceStream

# The number of tiles that are compared with the thumbnail: those with the most contrast. A photograph of 12 megapixels
# has 48 tiles; some phones write fewer and larger ones. Of them, one in twenty is compared, so that this takes less
# than a tenth of a full decode.
_MAX_COMPARED_TILES: Final = 2
_TILES_FOR_COMPARED: Final = 20

# An image of fewer tiles is decoded: comparing one of them would take a third of that.
_MIN_TILES: Final = 4

# Types of thumbnails: coded, or of tiles like the image.
_KINDS: Final = frozenset({b"hvc1", b"grid"})

# The mean difference, in levels of 255, above which a tile differs from the thumbnail. Measured on a photograph in
# quality 40 to 95 with a thumbnail of 320 pixels: up to 3.8; with that 5 % lighter 10.7 and more, with 30 % less color
# 6.1, cropped by 2 % 14. Thumbnails whose shape differs by a pixel have 4.6 and more.
_MAX_DIFFERENCE: Final = 4.0

# Tiles are compared at a quarter of the thumbnail's size, so that differences in encoding do not count.
_COMPARISON_SHRINK: Final = 4

# An orientation -> the one that reverts it; all others revert themselves.
_REVERSE: Final = {6: 8, 8: 6}


def preview(stream: SourceStream, probe: Probe, reduction: float) -> Image.Image | None:
    """Return the smallest thumbnail with enough pixels for Lanczos, as displayed, None if none is reliable.

    Some tiles of the image are decoded, to find out whether it was altered after the thumbnail was made. An image in
    one piece would have to be decoded entirely for that, so its thumbnail is not used. Raises MissingDecoder,
    MemoryError, and what the reader raises.
    """
    try:
        items = decode_heic.read(stream)
        grid = read_grid(items)
        thumbnails = read_thumbnails(items, probe)
        large_enough = [each for each in thumbnails if reduction * each.size[0] >= CASCADE_MARGIN * probe.width]
        if not large_enough or grid is None or len(grid.tiles) < _MIN_TILES:
            return None
        found = normalize_mode(decode_heic.displayed(large_enough[0]), probe.depth)
        return found if _is_current(found, items, grid, probe) else None
    except (MemoryError, MissingDecoder):
        raise
    except Exception:  # a broken thumbnail must not reject its image
        if stream.failure:
            raise
        return None


def read_thumbnails(items: Items, probe: Probe) -> tuple[Items, ...]:
    """Return the thumbnails with the shape, orientation and colors of the image, from the smallest to the largest.

    Each is returned as the items with it as the primary item. Images with a crop or alpha have none.
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
        if kind == b"thmb" and items.primary in targets and each.kind in _KINDS:
            width, height = each.size
            same_shape = abs(width * probe.height - height * probe.width) < probe.width
            same_view = each.crop_and_orientation == items.crop_and_orientation
            if same_shape and same_view and _same_colors(items, item):
                yield each


def _same_colors(items: Items, item: int) -> bool:
    """Return whether an item, and its tiles, have color properties of the image and its tiles, or none."""
    own, expected = (
        {box.body.read_all() for box in items.of(each).configuration if box.kind == b"colr"}
        for each in (item, items.primary)
    )
    return own <= expected


def _is_current(found: Image.Image, items: Items, grid: Grid, probe: Probe) -> bool:
    """Return whether the tiles with the most contrast in a thumbnail look like it."""
    stored = transform.orient(found, _REVERSE.get(probe.orientation, probe.orientation)).convert("RGB")
    width, height = grid.tile
    sketches = {
        item: _sketch(stored, (left, top, left + width, top + height), probe)
        for item, left, top in grid.places()
        if left + width <= probe.width and top + height <= probe.height
    }
    contrasts = {item: sum(ImageStat.Stat(sketch).stddev) for item, sketch in sketches.items()}
    count = min(_MAX_COMPARED_TILES, max(1, len(grid.tiles) // _TILES_FOR_COMPARED))
    compared = sorted(sketches, key=contrasts.__getitem__)[-count:]
    colors = decode_heic.own_colors(items)
    return all(
        _is_similar(sketches[item], decode_heic.displayed(items.of(item), 1, colors).convert("RGB"))
        for item in compared
    )


def _sketch(stored: Image.Image, tile: Box, probe: Probe) -> Image.Image:
    """Return the part of a thumbnail that shows this tile of the image, reduced for the comparison."""
    left, top, right, bottom = scale_box(tile, (probe.width, probe.height), stored.size)
    width = max(1, round((right - left) / _COMPARISON_SHRINK))
    height = max(1, round((bottom - top) / _COMPARISON_SHRINK))
    part = (left, top, min(right, stored.width), min(bottom, stored.height))
    return stored.resize((width, height), Image.Resampling.BOX, part)


def _is_similar(sketch: Image.Image, tile: Image.Image) -> bool:
    difference = ImageChops.difference(sketch, tile.resize(sketch.size, Image.Resampling.BOX))
    return max(ImageStat.Stat(difference).mean) <= _MAX_DIFFERENCE
