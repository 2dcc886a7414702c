"""AVIF with a clean aperture: pixels outside of it were cropped by an editor, and are not displayed."""

import struct

import pytest

from tests.image.pictures import BLUE, GREEN, RED, WHITE, cornered, saved, shown


def cropped(data: bytes, crop: tuple[int, int, int, int], turn: int = 0) -> bytes:
    """Return an AVIF of Pillow with irot and a crop: width, height, and its distance from the center."""
    width, height, across, down = crop
    clap = struct.pack(">I4s4IiIiI", 40, b"clap", width, 1, height, 1, across, 1, down, 1)
    irot = struct.pack(">I4sB", 9, b"irot", turn)
    file = bytearray(data)
    associated = file.index(b"ipma") + 4 + 4 + 4 + 2  # the number of properties of the first item
    known = file[associated]
    file[associated] += 2
    file[associated + 1 + known : associated + 1 + known] = bytes([0x80 | known + 1, 0x80 | known + 2])
    properties = file.index(b"ipma") - 4
    file[properties:properties] = clap + irot
    more = len(clap) + len(irot)
    for kind, grown in ((b"meta", more + 2), (b"iprp", more + 2), (b"ipco", more), (b"ipma", 2)):
        _grow(file, file.index(kind) - 4, grown)
    _grow(file, file.index(b"iloc") + 18, more + 2)  # where the coded picture is
    return bytes(file)


def _grow(file: bytearray, place: int, by: int) -> None:
    struct.pack_into(">I", file, place, struct.unpack_from(">I", file, place)[0] + by)


@pytest.mark.parametrize(
    ("across", "down", "color"), [(-24, -16, RED), (24, -16, GREEN), (-24, 16, BLUE), (24, 16, WHITE)]
)
def test_the_aperture_is_the_picture(across, down, color):
    """The thumbnail has the size and the color of the aperture."""
    data = cropped(saved(cornered(96, 64), "AVIF", quality=95), (40, 24, across, down))
    image = shown(data, width=64, height=64)
    assert image.size == (40, 24)
    assert all(max(abs(a - b) for a, b in zip(each, color, strict=True)) < 12 for _, each in image.getcolors(1000))


def test_the_crop_comes_before_the_turn():
    """A crop to the left half is applied before the rotation."""
    data = cropped(saved(cornered(96, 64), "AVIF", quality=95), (48, 64, -24, 0), turn=1)
    image = shown(data, width=64, height=64)
    assert image.size == (64, 48)
    left, right = image.getpixel((10, 24)), image.getpixel((54, 24))
    assert left[0] > 180 > left[2]
    assert right[2] > 180 > right[0]
