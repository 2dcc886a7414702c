"""A HEIC's own thumbnail in place of its picture: where it is large enough, and shows the same."""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import MissingDecoder
from thumbsmith.formats import picture
from thumbsmith.formats.heic import open_heic
from thumbsmith.formats.modes import to_plain
from thumbsmith.formats.pillow import Image, ImageChops, ImageStat
from thumbsmith.formats.stream import SourceStream
from thumbsmith.geometry import CASCADE_MARGIN, within
from thumbsmith.probe.previews import Part, Parts, read_parts
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
    parts = read_parts(stream.window(), probe)
    enough = [each for each in parts.previews if reduction * each.width >= CASCADE_MARGIN * probe.width]
    if not enough or len(parts.tiles) < 2 * TILES:
        return None
    try:
        found = _decoded(stream, enough[0], probe)
        return found if _is_current(stream, found, parts, probe) else None
    except (MemoryError, MissingDecoder):
        raise
    except Exception:  # a thumbnail that is broken costs no picture
        if stream.failure:
            raise
        return None


def _decoded(stream: SourceStream, part: Part, probe: Probe) -> Image.Image:
    image = open_heic(stream.edited(part.edits))
    image.load()
    return to_plain(image, probe.depth)


def _is_current(stream: SourceStream, found: Image.Image, parts: Parts, probe: Probe) -> bool:
    """Return whether the tiles of which a thumbnail shows most look like it."""
    stored = picture.turned(found, BACK.get(probe.orientation, probe.orientation)).convert("RGB")
    sketches = {tile: _sketch(stored, tile, probe) for tile in parts.tiles}
    telling = sorted(sketches, key=lambda tile: sum(ImageStat.Stat(sketches[tile]).stddev))[-TILES:]
    return all(_alike(sketches[tile], _decoded(stream, tile, probe).convert("RGB"), tile) for tile in telling)


def _sketch(stored: Image.Image, tile: Part, probe: Probe) -> Image.Image:
    """Return the part of a thumbnail that shows a tile, smaller still."""
    place = (tile.left, tile.top, tile.left + tile.width, tile.top + tile.height)
    left, top, right, bottom = within(place, (probe.width, probe.height), stored.size)
    size = (max(1, round((right - left) / COARSER)), max(1, round((bottom - top) / COARSER)))
    return stored.resize(size, Image.Resampling.BOX, (left, top, min(right, stored.width), min(bottom, stored.height)))


def _alike(sketch: Image.Image, whole: Image.Image, tile: Part) -> bool:
    if whole.size != (tile.width, tile.height):
        return False
    difference = ImageChops.difference(sketch, whole.resize(sketch.size, Image.Resampling.BOX))
    return max(ImageStat.Stat(difference).mean) <= SAME
