"""AVIF: one AV1 picture, and one for its alpha. AV1 Image File Format; ISO/IEC 23008-12; AV1, section 5.

https://aomediacodec.github.io/av1-avif/ and https://aomediacodec.github.io/av1-spec/av1-spec.pdf
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.image.containers.base import ShortRead, Window
from thumbsmith.image.containers.checks import Extras, OutputError, require, require_few
from thumbsmith.image.containers.isobmff import Box, boxes, find, is_alpha
from thumbsmith.reader import BytesReader

_FILE: Final = [b"ftyp", b"meta", b"mdat"]
_META: Final = frozenset({b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp"})
_PROPERTIES: Final = frozenset({b"ispe", b"pixi", b"av1C", b"colr", b"auxC"})

# The whole body of a handler: it is of pictures, and has no name. And what items are, and how libavif calls them.
_HANDLER: Final = b"\0\0\0\0\0\0\0\0pict" + bytes(13)
_ITEMS: Final = (b"av01Color\0", b"av01Alpha\0")

# Lengths, in bytes, of what is as long in every picture; `av1C` may repeat the sequence header, `auxC` is a name.
_LONGEST: Final = {b"ispe": 12, b"pixi": 8, b"av1C": 32, b"colr": 11, b"auxC": 64, b"hdlr": 25}

# Sequence header, temporal delimiter, frame header, tile group, frame: what AV1 draws a picture from.
_UNITS: Final = frozenset({1, 2, 3, 4, 6})


# With extras the file is laid out in more ways than are told apart here: its boxes are known, and no item is foreign.
_MOVING: Final = [b"ftyp", b"meta", b"moov", b"mdat"]
_SAMPLE_ENTRY: Final = 78  # bytes before the boxes of a VisualSampleEntry (ISO/IEC 14496-12, 12.1.3)
_NAMES: Final = {b"av01": (b"Color\0", b"Alpha\0"), b"Exif": (b"Exif\0",), b"mime": (b"XMP\0application/rdf+xml\0",)}


def check(data: bytes, extras: Extras) -> None:
    """Raise OutputError for an AVIF that holds more than a picture: EXIF, XMP, a profile, frames, bytes that none uses.

    Of one that may hold some of these it is checked that it holds no others. Of these only a profile is read.
    """
    try:
        file = Window.over(BytesReader(data))
        _check_loosely(file, extras) if extras.some else _check(file)
    except ShortRead:
        raise OutputError("it ends before its parts do") from None
    except Rejected as refused:
        raise OutputError(refused.detail) from refused


def _check(file: Window) -> None:
    parts = list(islice(boxes(file), len(_FILE) + 1))
    require([part.kind for part in parts] == _FILE, f"it holds the boxes {[part.kind for part in parts]}")
    _, meta, media = (part.body for part in parts)
    require(meta.size < 1024, f"the description of its picture takes {meta.size} bytes")
    described = list(boxes(meta, 4))
    _only(described, _META)
    require(len({kind for kind, _ in described}) == len(described), "it describes its picture twice")
    part = dict(described)
    require(part.keys() >= _META - {b"iref"}, "it does not describe its picture")
    require(part[b"hdlr"].read(0, part[b"hdlr"].size) == _HANDLER, "its handler is another one")
    _check_properties(part[b"iprp"])
    _check_items(part[b"iinf"])
    at = media.start
    for offset, length in sorted(set(_extents(part[b"iloc"]))):
        require(offset == at, "it holds bytes that no picture uses")
        _check_units(file.window(offset, length))
        at += length
    require(at == media.start + media.size == file.size, "it holds bytes that no picture uses")


def _check_loosely(file: Window, extras: Extras) -> None:
    parts = list(islice(boxes(file), len(_MOVING) + 1))
    kinds = [part.kind for part in parts]
    require(kinds == _FILE or (extras.frames and kinds == _MOVING), f"it holds the boxes {kinds}")
    end = parts[-1].body.start + parts[-1].body.size
    require(end == file.size, "bytes follow its end")
    items = dict(boxes(parts[1].body, 4)).get(b"iinf")
    for _, body in boxes(items, 6) if items else ():
        kind, name = body.read(8, 4), body.read(12, body.size - 12)
        allowed = kind == b"av01" or (extras.credit and kind in _NAMES)
        require(allowed and name in _NAMES[kind], f"it holds an item {kind!r}")
    for properties in _properties(parts):
        for kind, body in properties:
            if kind == b"colr" and body.read(0, 4) != b"nclx":
                extras.require_profile(body.read(4, body.size - 4))


def _properties(parts: Iterable[Box]) -> Iterator[Iterator[Box]]:
    """Yield the properties of the pictures in `meta`, and of the frames of each track in `moov`."""
    for kind, body in parts:
        if kind == b"meta":
            described = find(body.window(4), b"iprp", b"ipco")
            yield boxes(described) if described else iter(())
        if kind == b"moov":
            for track in (each.body for each in boxes(body) if each.kind == b"trak"):
                samples = find(track, b"mdia", b"minf", b"stbl", b"stsd")
                for entry in boxes(samples, 8) if samples else ():
                    yield boxes(entry.body, _SAMPLE_ENTRY)


def _only(found: Iterable[Box], allowed: frozenset[bytes]) -> None:
    for kind, body in found:
        require(kind in allowed, f"it holds a box {kind!r} of {body.size} bytes")
        require(body.size <= _LONGEST.get(kind, body.size), f"its box {kind!r} takes {body.size} bytes")


def _check_properties(described: Window) -> None:
    parts = list(boxes(described))
    require([part.kind for part in parts] == [b"ipco", b"ipma"], "its properties are written in another way")
    properties = list(boxes(parts[0].body))
    _only(properties, _PROPERTIES)
    for kind, body in properties:
        if kind == b"colr":
            require(body.read(0, 4) == b"nclx", "it holds a colour profile")
        elif kind == b"auxC":
            require(is_alpha(body), "it holds a picture that is no alpha")


def _check_items(items: Window) -> None:
    for kind, body in boxes(items, 6):
        named = body.read(8, body.size - 8)
        require(kind == b"infe" and body.byte(0) == 2 and named in _ITEMS, f"it holds an item {named[:20]!r}")


def _extents(places: Window) -> Iterable[tuple[int, int]]:
    """Yield offset and length of every item's data, of which each has one extent, without a base offset."""
    require(places.read(0, 6) == b"\0\0\0\0D\0", "it says where its picture is in another way")
    for index in range(places.unpack(">H", 6)[0]):
        _, source, count, offset, length = places.unpack(">HHHII", 8 + 14 * index)
        require((source, count) == (0, 1), "its picture is cut to pieces")
        yield offset, length


def _check_units(item: Window) -> None:
    """Raise OutputError unless an item's data are whole units (OBUs) of the kinds that a picture needs."""
    offset = count = 0
    while offset < item.size:
        count += 1
        require_few(count, item.size, moves=False)
        header = item.byte(offset)
        kind = header >> 3 & 15
        require(kind in _UNITS and header & 0x87 == 2, f"it holds an AV1 unit of kind {kind}")  # plain, with a size
        offset, size = _leb128(item, offset + 1)
        item.require(offset, size)
        offset += size


def _leb128(item: Window, offset: int) -> tuple[int, int]:
    """Return the offset after a number of 7 bits a byte, and the number."""
    found = 0
    for index in range(8):
        byte = item.byte(offset + index)
        found |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return offset + index + 1, found
    raise OutputError("a unit's length has no end")
