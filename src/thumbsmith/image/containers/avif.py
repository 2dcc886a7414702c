"""The output check of AVIF: one AV1 image, and one for its alpha. The header reader is in heif.py.

AV1 Image File Format, https://aomediacodec.github.io/av1-avif/; ISO/IEC 23008-12; AV1, section 5,
https://aomediacodec.github.io/av1-spec/av1-spec.pdf
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.image.containers.base import ShortRead, Window
from thumbsmith.image.containers.checks import Extras, OutputError, require, require_few_parts
from thumbsmith.image.containers.isobmff import Box, boxes, find, is_alpha
from thumbsmith.image.containers.tracks import SAMPLE_ENTRY_BYTES
from thumbsmith.reader import BytesReader

_STILL_BOXES: Final = [b"ftyp", b"meta", b"mdat"]
_ANIMATION_BOXES: Final = [b"ftyp", b"meta", b"moov", b"mdat"]
_META_BOXES: Final = frozenset({b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp"})
_PROPERTIES: Final = frozenset({b"ispe", b"pixi", b"av1C", b"colr", b"auxC"})

_MAX_META_BYTES: Final = 1023

# The largest content of boxes in bytes. `av1C` may repeat the sequence header, `auxC` is a name.
_MAX_BOX_BYTES: Final = {b"ispe": 12, b"pixi": 8, b"av1C": 32, b"colr": 11, b"auxC": 64, b"hdlr": 25}

# The whole content of a handler box: its type is pictures, and it has no name.
_HANDLER: Final = b"\0\0\0\0\0\0\0\0pict" + bytes(13)

# Types of items and their names, as libavif writes them.
_PICTURE_ITEMS: Final = (b"av01Color\0", b"av01Alpha\0")
_ITEM_NAMES: Final = {
    b"av01": (b"Color\0", b"Alpha\0"),
    b"Exif": (b"Exif\0",),
    b"mime": (b"XMP\0application/rdf+xml\0",),
}

# Units (OBUs) that AV1 draws a picture from: sequence header, temporal delimiter, frame header, tile group, frame.
_PICTURE_UNITS: Final = frozenset({1, 2, 3, 4, 6})


def check(data: bytes, extras: Extras) -> None:
    """Raise OutputError for an AVIF with more than a picture: EXIF, XMP, a profile, frames, bytes without a use.

    If extras are allowed, the check only verifies that there are no other items and boxes. Of the extras it reads only
    a profile.
    """
    try:
        file = Window.over(BytesReader(data))
        _check_with_extras(file, extras) if extras.any else _check_still(file)
    except ShortRead:
        raise OutputError("it ends before its parts do") from None
    except Rejected as refused:
        raise OutputError(refused.detail) from refused


def _check_still(file: Window) -> None:
    parts = list(islice(boxes(file), len(_STILL_BOXES) + 1))
    require([part.kind for part in parts] == _STILL_BOXES, f"it contains the boxes {[part.kind for part in parts]}")
    _, meta, media = (part.body for part in parts)
    require(meta.size <= _MAX_META_BYTES, f"the description of its picture takes {meta.size} bytes")
    described = list(boxes(meta, 4))
    _check_boxes(described, _META_BOXES)
    require(len({kind for kind, _ in described}) == len(described), "it describes its picture twice")
    part = dict(described)
    require(part.keys() >= _META_BOXES - {b"iref"}, "it does not describe its picture")
    require(part[b"hdlr"].read_all() == _HANDLER, "its handler is unknown")
    _check_properties(part[b"iprp"])
    _check_items(part[b"iinf"])
    used = media.start
    for offset, length in sorted(set(_extents(part[b"iloc"]))):
        require(offset == used, "it contains bytes that no picture uses")
        _check_units(file.window(offset, length))
        used += length
    require(used == media.start + media.size == file.size, "it contains bytes that no picture uses")


def _check_boxes(found: Iterable[Box], allowed: frozenset[bytes]) -> None:
    for kind, body in found:
        require(kind in allowed, f"it contains a box {kind!r} of {body.size} bytes")
        require(body.size <= _MAX_BOX_BYTES.get(kind, body.size), f"its box {kind!r} takes {body.size} bytes")


def _check_properties(described: Window) -> None:
    parts = list(boxes(described))
    require([part.kind for part in parts] == [b"ipco", b"ipma"], "its properties have an unknown structure")
    properties = list(boxes(parts[0].body))
    _check_boxes(properties, _PROPERTIES)
    for kind, body in properties:
        if kind == b"colr":
            require(body.read(0, 4) == b"nclx", "it contains a color profile")
        elif kind == b"auxC":
            require(is_alpha(body), "it contains an auxiliary picture that is not alpha")


def _check_items(items: Window) -> None:
    for kind, body in boxes(items, 6):
        named = body.read(8, body.size - 8)
        known = kind == b"infe" and body.byte(0) == 2 and named in _PICTURE_ITEMS
        require(known, f"it contains an item {named[:20]!r}")


def _extents(places: Window) -> Iterable[tuple[int, int]]:
    """Yield offset and length of the data of every item. Each must have one extent, without a base offset."""
    require(places.read(0, 6) == b"\0\0\0\0D\0", "the place of its picture has an unknown structure")
    for index in range(places.unpack(">H", 6)[0]):
        _, source, count, offset, length = places.unpack(">HHHII", 8 + 14 * index)
        require((source, count) == (0, 1), "its picture is split")
        yield offset, length


def _check_units(item: Window) -> None:
    """Raise OutputError unless the data of an item are complete units (OBUs) that a picture needs."""
    offset = count = 0
    while offset < item.size:
        count += 1
        require_few_parts(count, item.size, animated=False)
        header = item.byte(offset)
        kind = header >> 3 & 15
        has_only_size = header & 0x87 == 2  # no other flag and no extension
        require(kind in _PICTURE_UNITS and has_only_size, f"it contains an AV1 unit of kind {kind}")
        offset, size = _read_leb128(item, offset + 1)
        item.require(offset, size)
        offset += size


def _read_leb128(item: Window, offset: int) -> tuple[int, int]:
    """Return the offset after a number with 7 bits per byte, and the number."""
    found = 0
    for index in range(8):
        byte = item.byte(offset + index)
        found |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return offset + index + 1, found
    raise OutputError("the length of a unit has no end")


def _check_with_extras(file: Window, extras: Extras) -> None:
    parts = list(islice(boxes(file), len(_ANIMATION_BOXES) + 1))
    kinds = [part.kind for part in parts]
    allowed_kinds = kinds == _STILL_BOXES or (extras.frames and kinds == _ANIMATION_BOXES)
    require(allowed_kinds, f"it contains the boxes {kinds}")
    end = parts[-1].body.start + parts[-1].body.size
    require(end == file.size, "bytes follow its end")
    items = dict(boxes(parts[1].body, 4)).get(b"iinf")
    for _, body in boxes(items, 6) if items else ():
        kind, name = body.read(8, 4), body.read(12, body.size - 12)
        allowed = kind == b"av01" or (extras.credit and kind in _ITEM_NAMES)
        require(allowed and name in _ITEM_NAMES[kind], f"it contains an item {kind!r}")
    for properties in _all_properties(parts):
        for kind, body in properties:
            if kind == b"colr" and body.read(0, 4) != b"nclx":
                extras.require_profile(body.read(4, body.size - 4))


def _all_properties(parts: Iterable[Box]) -> Iterator[Iterator[Box]]:
    """Yield the properties of the images in `meta`, and of the frames of each track in `moov`."""
    for kind, body in parts:
        if kind == b"meta":
            described = find(body.window(4), b"iprp", b"ipco")
            yield boxes(described) if described else iter(())
        if kind == b"moov":
            for track in (each.body for each in boxes(body) if each.kind == b"trak"):
                samples = find(track, b"mdia", b"minf", b"stbl", b"stsd")
                for entry in boxes(samples, 8) if samples else ():
                    yield boxes(entry.body, SAMPLE_ENTRY_BYTES)
