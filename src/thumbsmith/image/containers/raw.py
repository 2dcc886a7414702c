"""Camera raw: the JPEG that the camera stored in addition to the data of its sensor, and the orientation.

Canon CR2 and CR3, Nikon NEF, Sony ARW, Adobe DNG, Fujifilm RAF, Olympus ORF, Panasonic RW2. Most are TIFF files with
tags of their own: DNG 1.7, and https://exiftool.org/TagNames/ for the tags of each maker. CR3 consists of boxes:
https://github.com/lclevy/canon_cr3. RAF: https://exiftool.org/TagNames/FujiFilm.html, "RAF header".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers import jpeg
from thumbsmith.image.containers.base import Probe, ShortRead, Window
from thumbsmith.image.containers.exif import valid_orientation
from thumbsmith.image.containers.isobmff import boxes, find

_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, MAKE = 256, 257, 259, 262, 271
_STRIP, _ORIENTATION, _STRIP_BYTES, _SUB_DIRECTORIES = 273, 274, 279, 330
_JPEG, _JPEG_BYTES, _EXIF, _MAKER_NOTE = 513, 514, 34665, 37500
_PANASONIC_JPEG, _PANASONIC_WIDTH, _PANASONIC_HEIGHT = 46, 7, 6
DNG_VERSION, _DNG_CROP = 50706, 50720
_OLYMPUS_SETTINGS, _OLYMPUS_PREVIEW, _OLYMPUS_PREVIEW_BYTES = 0x2020, 0x101, 0x102

# Values: both kinds of JPEG; the mosaic of a sensor, and such data after interpolation.
_JPEG_COMPRESSIONS: Final = (6, 7)
_SENSOR: Final = (32803, 34892)

# Compressions that only makers of cameras use: Sony, Nikon, Pentax, Samsung.
_MAKERS_COMPRESSIONS: Final = (32767, 34713, 65535, 32769, 32770, 32772)

_CR2_MARK: Final = b"CR\x02"
_OLYMPUS_NOTES: Final = ((b"OLYMPUS\x00", 12), (b"OM SYSTEM\x00", 16))
_CANON: Final = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_CANON_PREVIEW: Final = bytes.fromhex("eaf42b5e1c984b88b9fbb7dc406e4d16")

_MAX_DIRECTORIES: Final = 32
_MAX_ENTRIES: Final = 1_000
_MAX_VALUES: Final = 16

# BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SLONG, IFD: format of struct, and bytes.
_TYPES: Final = {
    1: ("B", 1),
    2: ("B", 1),
    3: ("H", 2),
    4: ("I", 4),
    5: ("II", 8),
    7: ("B", 1),
    9: ("i", 4),
    13: ("I", 4),
}

# A sensor has a few more pixels than the picture that the camera makes of it.
_SAME_SIZE: Final = 1.1
_SAME_SHAPE: Final = 0.03


class Field(NamedTuple):
    """A field of a directory: its first values, and where all its bytes are."""

    values: tuple[int, ...]
    offset: int
    length: int


Fields = Mapping[int, Field]


@dataclass(frozen=True, slots=True)
class Preview:
    """A JPEG in a raw file: what its header says, and its place.

    `larger` is how many times wider the picture of the sensor is, 1 if that has about the same size or another shape.
    """

    probe: Probe
    offset: int
    length: int
    orientation: int
    larger: float = 1.0


def read(data: Window) -> Probe:
    """Return the size and the orientation of the picture in a raw file. Raises Rejected, ShortRead.

    The size is that of the largest JPEG in the file. If the sensor has the same shape and more pixels, it is larger by
    the same factor on both axes. `piece` is the number of pixels of the JPEG.
    """
    found = find_preview(data)
    width, height = (round(side * found.larger) for side in (found.probe.width, found.probe.height))
    return Probe(
        format="raw",
        bytes=data.size,
        width=width,
        height=height,
        orientation=found.orientation,
        piece=found.probe.width * found.probe.height,
        progressive=found.probe.progressive,
        scans=found.probe.scans,
    )


def is_raw(data: Window) -> bool:
    """Return whether a TIFF is a raw file: by Canon's mark, the version of DNG, or data of a sensor of any maker."""
    if data.size > 12 and data.read(8, 3) == _CR2_MARK:
        return True
    try:
        directories = list(_directories(data))
    except (Rejected, ShortRead):
        return False
    if not directories:
        return False
    if DNG_VERSION in directories[0]:
        return True
    sensor = any(
        _first(each, _PHOTOMETRIC) == _SENSOR[0] or _first(each, _COMPRESSION) in _MAKERS_COMPRESSIONS
        for each in directories
    )
    return sensor and MAKE in directories[0]


def find_preview(data: Window) -> Preview:
    """Return the largest JPEG of a raw file. Raises Rejected(unsupported_format) if it has none, ShortRead."""
    head = data.read(0, min(16, data.size))
    sensor = (0, 0)
    orientation = 0
    if head.startswith(b"FUJIFILMCCD-RAW"):
        places = iter([data.unpack(">II", 84)])
    elif head[4:8] == b"ftyp":
        places, orientation = _canon_places(data), _canon_orientation(data)
    else:
        directories = list(_directories(data))
        places = _tiff_places(data, directories)
        orientation = valid_orientation(_first(directories[0], _ORIENTATION, 1)) if directories else 1
        sensor = _sensor_size(directories)
    best: Preview | None = None
    cut = False
    for offset, length in places:
        try:
            found = jpeg.read(data.window(offset, length))
        except Rejected:
            continue  # compressed data of the sensor, or another preview that is broken
        except ShortRead:
            cut = True
            continue
        if offset + length > data.size:
            cut = True
        elif best is None or found.width > best.probe.width:
            best = Preview(found, offset, length, orientation or found.orientation)
    if cut:
        raise ShortRead
    if best is None:
        raise Rejected(Code.UNSUPPORTED_FORMAT, "the raw photograph has no picture for display in it")
    return replace(best, larger=_how_much_larger(best.probe, sensor))


def _how_much_larger(preview: Probe, sensor: tuple[int, int]) -> float:
    width, height = sensor
    if not (width and height) or width <= preview.width * _SAME_SIZE:
        return 1.0
    shapes = (width / height) / (preview.width / preview.height)
    return width / preview.width if abs(shapes - 1) < _SAME_SHAPE else 1.0


def _tiff_places(data: Window, directories: list[Fields]) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of everything in a TIFF that may be a JPEG for display."""
    for fields in directories:
        if _JPEG in fields and _JPEG_BYTES in fields:
            yield _first(fields, _JPEG), _first(fields, _JPEG_BYTES)
        if _PANASONIC_JPEG in fields:
            yield fields[_PANASONIC_JPEG].offset, fields[_PANASONIC_JPEG].length
        is_jpeg = _first(fields, _COMPRESSION) in _JPEG_COMPRESSIONS
        single = _STRIP in fields and _STRIP_BYTES in fields and len(fields[_STRIP].values) == 1
        if is_jpeg and single and _first(fields, _PHOTOMETRIC) not in _SENSOR:
            yield _first(fields, _STRIP), _first(fields, _STRIP_BYTES)
        if _MAKER_NOTE in fields:
            yield from _olympus_places(data, fields[_MAKER_NOTE])


def _olympus_places(data: Window, note: Field) -> Iterator[tuple[int, int]]:
    """Yield the preview that Olympus stores in its own directories; their offsets count from the note."""
    body = data.window(note.offset, note.length)
    head = body.read(0, min(16, body.size))
    for mark, start in _OLYMPUS_NOTES:
        if head.startswith(mark):
            order = "<" if head[start - 4 : start - 2] == b"II" else ">"
            own, _ = _read_directory(body, order, start)
            if _OLYMPUS_SETTINGS in own:
                field = own[_OLYMPUS_SETTINGS]
                settings, _ = _read_directory(body, order, field.values[0] if field.length == 4 else field.offset)
                if _OLYMPUS_PREVIEW in settings:
                    yield note.offset + _first(settings, _OLYMPUS_PREVIEW), _first(settings, _OLYMPUS_PREVIEW_BYTES)


def _sensor_size(directories: list[Fields]) -> tuple[int, int]:
    """Return the size of the picture of the sensor, (0, 0) if the directories do not tell it."""
    for fields in directories:
        if _first(fields, _PHOTOMETRIC) in _SENSOR:
            crop = fields.get(_DNG_CROP)
            if crop and len(crop.values) == 2:
                return crop.values[0], crop.values[1]
            return _first(fields, _WIDTH), _first(fields, _HEIGHT)
        if _PANASONIC_WIDTH in fields and _PANASONIC_HEIGHT in fields:
            return _first(fields, _PANASONIC_WIDTH), _first(fields, _PANASONIC_HEIGHT)
    return 0, 0


def _directories(data: Window) -> Iterator[Fields]:
    """Yield the directories of a TIFF in the order of the file: each before those within it, and its EXIF."""
    order = "<" if data.read(0, 2) == b"II" else ">"
    waiting = [data.unpack(order + "I", 4)[0]]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        offset = waiting.pop(0)
        if offset in seen or not offset:
            continue
        seen.add(offset)
        try:
            fields, following = _read_directory(data, order, offset)
        except (ShortRead, Rejected):
            if len(seen) == 1:
                raise
            continue
        yield fields
        inner = fields[_SUB_DIRECTORIES].values if _SUB_DIRECTORIES in fields else ()
        exif = fields[_EXIF].values if _EXIF in fields else ()
        waiting += [*inner, *exif, following]


def _read_directory(data: Window, order: str, offset: int) -> tuple[Fields, int]:
    """Return the fields of a directory, and the offset of the next one. Offsets count from the beginning of `data`."""
    (count,) = data.unpack(order + "H", offset)
    if count > _MAX_ENTRIES:
        raise Rejected(Code.CORRUPT, f"a directory claims {count} entries")
    table = data.read(offset + 2, 12 * count)
    fields: dict[int, Field] = {}
    for index in range(count):
        tag, kind, number = struct.unpack_from(order + "HHI", table, 12 * index)
        if kind not in _TYPES:
            continue
        form, size = _TYPES[kind]
        length = size * number
        place = offset + 2 + 12 * index + 8
        if length > 4:
            (place,) = struct.unpack_from(order + "I", table, 12 * index + 8)
        wanted = min(number, _MAX_VALUES)
        try:
            values = struct.unpack(order + form * wanted, data.read(place, size * wanted))
        except (ShortRead, Rejected):
            values = ()
        if form == "II":
            values = tuple(
                top // bottom if bottom else 0 for top, bottom in zip(values[::2], values[1::2], strict=True)
            )
        if values:
            fields.setdefault(tag, Field(values, place, length))
    end = offset + 2 + 12 * count
    return fields, data.unpack(order + "I", end)[0] if end + 4 <= data.size else 0


def _first(fields: Fields, tag: int, default: int = 0) -> int:
    return fields[tag].values[0] if tag in fields else default


def _canon_places(data: Window) -> Iterator[tuple[int, int]]:
    """Yield the JPEGs of a CR3: the first sample of each track, and the preview in a box of its own."""
    for each in boxes(data):
        if each.kind == b"moov":
            for track in boxes(each.body):
                table = find(track.body, b"mdia", b"minf", b"stbl") if track.kind == b"trak" else None
                sizes, offsets = (find(table, b"stsz"), find(table, b"co64")) if table else (None, None)
                if sizes and offsets:
                    length = sizes.unpack(">I", 4)[0] or sizes.unpack(">I", 12)[0]
                    yield offsets.unpack(">Q", 8)[0], length
        elif each.kind == b"uuid" and each.body.read(0, 16) == _CANON_PREVIEW:
            for inner in boxes(each.body, 24):
                if inner.kind == b"PRVW":
                    yield inner.body.start + 16, inner.body.unpack(">I", 12)[0]


def _canon_orientation(data: Window) -> int:
    moov = find(data, b"moov")
    for each in boxes(moov) if moov else ():
        if each.kind == b"uuid" and each.body.read(0, 16) == _CANON:
            block = find(each.body.window(16), b"CMT1")
            first = next(_directories(block), None) if block else None
            return valid_orientation(_first(first, _ORIENTATION, 1)) if first else 1
    return 1
