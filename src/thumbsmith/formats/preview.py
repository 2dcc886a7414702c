"""A HEIC's own thumbnail in place of its picture: where it is large enough, and shows the same."""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import MissingDecoder
from thumbsmith.formats import heic, picture
from thumbsmith.formats.modes import to_plain
from thumbsmith.formats.pillow import Image, ImageChops, ImageStat
from thumbsmith.formats.stream import SourceStream
from thumbsmith.geometry import CASCADE_MARGIN, Box, within
from thumbsmith.probe.grid import Grid, read_grid
from thumbsmith.probe.items import Items
from thumbsmith.probe.previews import read_previews
from thumbsmith.probe.types import Probe

# So many tiles are held against the thumbnail: those of which it shows most. A photograph of 12 megapixels has 48.
TILES: Final = 2

# The mean difference, in levels of 255, above which a tile shows something else than the thumbnail. Measured on a
# photograph in quality 40 to 95 with a thumbnail of 320 pixels: up to 3.8; with that 5 % lighter 10.7 and more, with
# 30 % less colour 6.1, cropped by 2 % 14. Thumbnails that are a pixel off the shape have 4.6 and more.
SAME: Final = 4.0

# Tiles are compared at this share of the thumbnail's size: what is coded differently is no difference.
COARSER: Final = 4

# A turn -> the one that undoes it.
BACK: Final = {6: 8, 8: 6}


def preview(stream: SourceStream, probe: Probe, reduction: float) -> Image.Image | None:
    """Return the smallest thumbnail that leaves enough to Lanczos, as seen, or None for none that can be relied on.

    Whether the picture was altered since is found by decoding some of the tiles that it is made of; a picture in one
    piece would have to be decoded whole for that, which leaves nothing to gain.
    """
    try:
        items = heic.read(stream)
        grid = read_grid(items)
        previews = read_previews(items, probe)
        enough = [each for each in previews if reduction * each.size[0] >= CASCADE_MARGIN * probe.width]
        if not enough or grid is None or len(grid.tiles) < 2 * TILES:
            return None
        found = to_plain(heic.shown(enough[0]), probe.depth)
        return found if _is_current(found, items, grid, probe) else None
    except (MemoryError, MissingDecoder):
        raise
    except Exception:  # a thumbnail that is broken costs no picture
        if stream.failure:
            raise
        return None


def _is_current(found: Image.Image, items: Items, grid: Grid, probe: Probe) -> bool:
    """Return whether the tiles of which a thumbnail shows most look like it."""
    stored = picture.turned(found, BACK.get(probe.orientation, probe.orientation)).convert("RGB")
    width, height = grid.tile
    sketches = {
        item: _sketch(stored, (left, top, left + width, top + height), probe)
        for item, left, top in grid.places()
        if left + width <= probe.width and top + height <= probe.height
    }
    telling = sorted(sketches, key=lambda item: sum(ImageStat.Stat(sketches[item]).stddev))[-TILES:]
    colors = heic.own_colors(items)
    return all(_alike(sketches[item], heic.shown(items.of(item), 1, colors).convert("RGB")) for item in telling)


def _sketch(stored: Image.Image, place: Box, probe: Probe) -> Image.Image:
    """Return the part of a thumbnail that shows this part of the picture, smaller still."""
    left, top, right, bottom = within(place, (probe.width, probe.height), stored.size)
    size = (max(1, round((right - left) / COARSER)), max(1, round((bottom - top) / COARSER)))
    return stored.resize(size, Image.Resampling.BOX, (left, top, min(right, stored.width), min(bottom, stored.height)))


def _alike(sketch: Image.Image, whole: Image.Image) -> bool:
    difference = ImageChops.difference(sketch, whole.resize(sketch.size, Image.Resampling.BOX))
    return max(ImageStat.Stat(difference).mean) <= SAME
