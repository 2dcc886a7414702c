"""Which images in a TIFF are levels of its pyramid."""

import struct
from io import BytesIO

import pytest
from PIL import Image

from tests.image.pictures import difference, shown, textured
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.tiff import pyramid as read_pyramid
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader

REDUCED, PAGE = 1, 0


def pages(*images: tuple[Image.Image, int], **options) -> bytes:
    """Return a TIFF of images, each with its NewSubfileType."""
    file = BytesIO()
    (first, _), *rest = images
    for image, kind in rest:
        image.encoderinfo = {"tiffinfo": {254: kind}, **options}
    first.save(file, "TIFF", save_all=True, append_images=[image for image, _ in rest], **options)
    return file.getvalue()


def halved(image: Image.Image, steps: int = 1, up: bool = False) -> Image.Image:
    """Return a copy that is halved this number of times, rounded down or up."""
    sides = [(side + (1 << steps) - 1 if up else side) >> steps for side in image.size]
    return image.resize((max(1, sides[0]), max(1, sides[1])))


PICTURE = textured(301, 203)


def levels(data: bytes) -> int:
    """Return the number of levels of a file."""
    return probe(BytesReader(data)).levels


@pytest.mark.parametrize("up", [False, True])
def test_halves_of_halves_are_levels(up):
    """Each level is half the one before, rounded down or up. The order in the file does not matter."""
    small = [(halved(PICTURE, steps, up), REDUCED) for steps in (2, 1, 3)]
    data = pages((PICTURE, PAGE), *small)
    assert levels(data) == 3
    _, found = read_pyramid(Window.over(BytesReader(data)))
    assert [(level.width, level.height) for level in found] == [halved(PICTURE, step, up).size for step in (1, 2, 3)]


@pytest.mark.parametrize(
    "others",
    [
        [],
        [(halved(PICTURE), PAGE)],  # a page that happens to be half as large
        [(PICTURE.resize((160, 120)), REDUCED)],  # a preview
        [(halved(PICTURE, 2), REDUCED)],  # without the level between
        [(halved(PICTURE).convert("L"), REDUCED)],
        [(PICTURE, REDUCED)],
    ],
    ids=["alone", "page", "preview", "gap", "grey", "as large"],
)
def test_other_pictures_are_no_levels(others):
    """Pages, previews of another shape, and images of another kind are no levels."""
    assert levels(pages((PICTURE, PAGE), *others)) == 0


def test_a_level_with_another_profile_is_none():
    """A copy without the profile of the image is no level, because its colors would differ."""
    data = pages((PICTURE, PAGE), (halved(PICTURE), REDUCED), icc_profile=b"profile " * 8)
    assert levels(data) == 1
    before, after = data.rsplit(struct.pack("<HH", 34675, 7), 1)
    assert levels(before + struct.pack("<HH", 34676, 7) + after) == 0


def test_levels_may_be_kept_inside_the_first_directory():
    """Images in SubIFDs are levels without a mark."""
    data = bytearray(pages((PICTURE, PAGE), (halved(PICTURE), PAGE)))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    end = first + 2 + 12 * count
    following = struct.unpack_from("<I", data, end)[0]
    table = data[first + 2 : end] + struct.pack("<HHII", 330, 4, 1, following)
    moved = len(data)
    data += struct.pack("<H", count + 1) + table + bytes(4)
    struct.pack_into("<I", data, 4, moved)
    found = probe(BytesReader(bytes(data)))
    assert (found.frames, found.levels) == (1, 1)


def test_the_smallest_level_that_serves_is_decoded():
    """Levels of different colors show which one a thumbnail is made from. The mean color needs 32 pixels."""
    images = [(PICTURE, PAGE)]
    for step, color in enumerate(("red", "lime", "blue"), 1):
        images.append((Image.new("RGB", halved(PICTURE, step).size, color), REDUCED))
    data = pages(*images)
    assert difference(shown(data, width=300, height=300), PICTURE.resize((300, 202))) < 3
    for side, color in ((74, "red"), (36, "lime"), (5, "lime")):
        made = shown(data, width=side)
        assert difference(made, Image.new("RGB", made.size, color)) == 0
    assert difference(shown(data, width=76, height=76), PICTURE.resize((76, 51))) < 5


def test_a_level_is_turned_as_the_picture_is():
    """A level has an orientation, and gives the same thumbnail as the whole image."""
    turned = PICTURE.transpose(Image.Transpose.ROTATE_90)
    small = halved(turned)
    small.encoderinfo = {"tiffinfo": {254: REDUCED, 274: 6}}
    file = BytesIO()
    turned.save(file, "TIFF", save_all=True, append_images=[small], tiffinfo={274: 6})
    assert levels(file.getvalue()) == 1
    made = shown(file.getvalue())
    assert difference(made, PICTURE.resize(made.size, Image.Resampling.LANCZOS)) < 3
