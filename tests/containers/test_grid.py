"""The probe of HEIF grids, which are images of tiles."""

import struct

import pytest

from tests.containers.files import box
from tests.containers.readers import probed, rejected
from tests.hostile.headers import grid


@pytest.mark.parametrize("brand", [b"heic", b"avif"])
@pytest.mark.parametrize(
    ("rows", "columns", "width", "height"), [(2, 3, 190, 120), (2, 3, 192, 128), (1, 1, 64, 64), (1, 1, 1, 1)]
)
def test_a_grid_that_fits_is_a_picture(brand: bytes, rows: int, columns: int, width: int, height: int):
    """Tiles must cover the image; the last ones may reach beyond it. `piece` has the pixels of one tile."""
    found = probed(grid(rows, columns, width, height, 64, rows * columns, brand))
    assert (found.size, found.piece) == ((width, height), 64 * 64)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (grid(2, 3, 190, 120, 64, 5), "5 tiles"),
        (grid(2, 3, 190, 120, 64, 7), "7 tiles"),
        (grid(2, 3, 193, 120, 64, 6), "do not make"),
        (grid(2, 3, 190, 129, 64, 6), "do not make"),
        (grid(2, 3, 128, 120, 64, 6), "do not make"),
        (grid(2, 3, 190, 64, 64, 6), "do not make"),
        (grid(2, 3, 190, 120, 64, 6).replace(b"idat", b"free"), "not say where"),
        (grid(2, 3, 190, 120, 64, 6).replace(b"dimg", b"none"), "0 tiles"),
        (grid(2, 3, 190, 120, 64, 6).replace(b"\1\0\0\0\x44\0\0\1\0\1", b"\1\0\0\0\x44\0\0\1\0\2"), "not say where"),
        (grid(2, 3, 190, 120, 64, 6).replace(b"\1\0\0\0\x44\0\0\1\0\1", b"\1\0\0\0\x34\0\0\1\0\1"), "offsets"),
        (grid(2, 3, 190, 120, 64, 6).replace(b"\1\0\0\0\x44\0\0\1\0\1", b"\1\0\0\0\x44\0\xff\xff\0\1"), "items"),
    ],
)
def test_a_grid_that_does_not_fit_is_corrupt(data: bytes, word: str):
    """Rejected are too few or too many tiles, an uncovered part, tiles outside of the image, and missing places."""
    code, detail = rejected(data)
    assert code == "corrupt"
    assert word in detail


def _placed(version: int, sizes: int, item: bytes, *, index: int = 0) -> bytes:
    """Return other encodings of the place of an item: in the file, with base and index, with numbers of 32 bits."""
    count = struct.pack(">I" if version == 2 else ">H", 1)
    return box(b"iloc", bytes((version, 0, 0, 0, 0x44, sizes | index)), count, item)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_places_are_read_however_they_are_written(version: int):
    """The description of a grid may be anywhere in the file. Base and offset are added."""
    whole = grid(2, 3, 190, 120, 64, 6)
    description = bytes((0, 1, 1, 2)) + struct.pack(">II", 190, 120)
    item = struct.pack(">I" if version == 2 else ">H", 1) + (b"\0\0" if version else b"") + bytes(2)
    index = struct.pack(">I", 7) if version else b""
    start = whole.index(b"iloc") - 4
    (length,) = struct.unpack_from(">I", whole, start)

    def written(at: int) -> bytes:
        extent = struct.pack(">IH", at - 5, 1) + index + struct.pack(">II", 5, len(description))
        place = _placed(version, 0x40, item + extent, index=4 if version else 0)
        meta = whole.index(b"meta") - 4
        (size,) = struct.unpack_from(">I", whole, meta)
        grown = struct.pack(">I", size + len(place) - length)
        return whole[:meta] + grown + whole[meta + 4 : start] + place + whole[start + length :] + description

    data = written(len(written(5)) - len(description))
    assert probed(data).size == (190, 120)


def test_more_items_than_any_picture_has_are_corrupt():
    """A list of a million items is not read."""
    data = grid(2, 3, 190, 120, 64, 6)
    at = data.index(b"ipma") + 8
    assert rejected(data[:at] + b"\0\x0f\xff\xff" + data[at + 4 :])[0] == "corrupt"
