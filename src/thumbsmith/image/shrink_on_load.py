"""The thumbnails that a HEIC holds of its picture. ISO/IEC 23008-12, 6.4.4.

A HEIC's own thumbnail in place of its picture: where it is large enough, and shows the same.

A progressive JPEG as far as its first scan goes, which holds the mean of every 8 x 8 pixels: ITU-T T.81, annex G.

One level of a TIFF's pyramid, made to look like the only picture of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from thumbsmith.errors import MissingDecoder, Rejected
from thumbsmith.image import decode_heic, transform
from thumbsmith.image.color import normalize_mode
from thumbsmith.image.containers import tiff
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.heif import Grid, read_grid
from thumbsmith.image.containers.items import Items
from thumbsmith.image.containers.jpeg import segments
from thumbsmith.image.geometry import CASCADE_MARGIN, Box, scale_box
from thumbsmith.image.pillow import Image, ImageChops, ImageStat
from thumbsmith.image.stream import Patched, SourceStream
from thumbsmith.reader import BytesReader, RangeReader


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
        items = decode_heic.read(stream)
        grid = read_grid(items)
        previews = read_previews(items, probe)
        enough = [each for each in previews if reduction * each.size[0] >= CASCADE_MARGIN * probe.width]
        if not enough or grid is None or len(grid.tiles) < 2 * TILES:
            return None
        found = normalize_mode(decode_heic.shown(enough[0]), probe.depth)
        return found if _is_current(found, items, grid, probe) else None
    except (MemoryError, MissingDecoder):
        raise
    except Exception:  # a thumbnail that is broken costs no picture
        if stream.failure:
            raise
        return None


def _is_current(found: Image.Image, items: Items, grid: Grid, probe: Probe) -> bool:
    """Return whether the tiles of which a thumbnail shows most look like it."""
    stored = transform.orient(found, BACK.get(probe.orientation, probe.orientation)).convert("RGB")
    width, height = grid.tile
    sketches = {
        item: _sketch(stored, (left, top, left + width, top + height), probe)
        for item, left, top in grid.places()
        if left + width <= probe.width and top + height <= probe.height
    }
    telling = sorted(sketches, key=lambda item: sum(ImageStat.Stat(sketches[item]).stddev))[-TILES:]
    colors = decode_heic.own_colors(items)
    return all(_alike(sketches[item], decode_heic.shown(items.of(item), 1, colors).convert("RGB")) for item in telling)


def _sketch(stored: Image.Image, place: Box, probe: Probe) -> Image.Image:
    """Return the part of a thumbnail that shows this part of the picture, smaller still."""
    left, top, right, bottom = scale_box(place, (probe.width, probe.height), stored.size)
    size = (max(1, round((right - left) / COARSER)), max(1, round((bottom - top) / COARSER)))
    return stored.resize(size, Image.Resampling.BOX, (left, top, min(right, stored.width), min(bottom, stored.height)))


def _alike(sketch: Image.Image, whole: Image.Image) -> bool:
    difference = ImageChops.difference(sketch, whole.resize(sketch.size, Image.Resampling.BOX))
    return max(ImageStat.Stat(difference).mean) <= SAME


_DQT: Final = 0xDB
_SOS: Final = 0xDA
_EOI: Final = b"\xff\xd9"


def alone(reader: RangeReader, end: int) -> BytesReader:
    """Return a JPEG of nothing but the first scan of a source, which ends at `end`, to be decoded at an eighth.

    Where finer detail is not there yet libjpeg guesses at it from the blocks around, and blurs what is decoded at an
    eighth: of 7 photographs at 256 px the worst SSIM was 0.991 with that, 0.994 without, in a half of the time. It
    does not where a quantizer of detail is 0 (`smoothing_ok` in its jdcoefct.c), so all of these are made that; there
    is no detail to multiply by them. Raises what the reader raises. The probe has been over these segments before.
    """
    data = bytearray(reader.read(0, end))
    for marker, body in segments(Window.over(BytesReader(bytes(data)))):
        if marker == _SOS:
            break
        if marker == _DQT:
            _clear(memoryview(data)[body.start : body.start + body.size])
    return BytesReader(bytes(data) + _EOI)


def _clear(tables: memoryview) -> None:
    """Make all quantizers 0 but the first of each table, which is that of the mean: T.81, B.2.4.1."""
    while tables:
        width = 2 if tables[0] >> 4 else 1
        detail = tables[1 + width : 1 + 64 * width]
        detail[:] = bytes(len(detail))
        tables = tables[1 + 64 * width :]


def at_level(reader: RangeReader, probe: Probe, shrink: int) -> tuple[RangeReader, Probe]:
    """Return the source and its facts with the level first whose sides are divided by `shrink`; for 1 as they are."""
    if shrink == 1:
        return reader, probe
    layout, levels = tiff.pyramid_of(Window.over(reader))
    level = levels[shrink.bit_length() - 2]
    # The header says where the first directory is; the decoder begins there and looks no further.
    edit = (8 if layout.big else 4, struct.pack(layout.word, level.offset))
    return Patched(reader, (edit,)), replace(probe, width=level.width, height=level.height)
