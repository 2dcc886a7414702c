"""Pictures are oriented as EXIF says."""

import pytest
from PIL import Image

from tests.image.pictures import BLUE, GREEN, RED, WHITE, cornered, difference, saved, shown
from thumbsmith.recipe import Fit

# How a picture is stored that is seen upright with this EXIF orientation: the inverse of each turn.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def stored(kind: str, orientation: int) -> bytes:
    """Return a file of the cornered picture, stored rotated, with the tag that undoes it."""
    turn = STORED[orientation]
    image = cornered(192, 128) if turn is None else cornered(192, 128).transpose(turn)
    exif = Image.Exif()
    exif[274] = orientation
    return saved(image, kind, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_every_orientation_is_applied(kind, orientation):
    """Each color is in its corner, and the sides are those of the picture as seen."""
    image = shown(stored(kind, orientation)).convert("RGB")
    assert image.size == (64, 43)
    for corner, color in (((4, 4), RED), ((59, 4), GREEN), ((4, 38), BLUE), ((59, 38), WHITE)):
        assert all(abs(a - b) < 25 for a, b in zip(image.getpixel(corner), color, strict=True)), (corner, color)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_portrait_stays_a_portrait(kind, orientation):
    """The sides of a portrait are swapped exactly once."""
    turn = STORED[orientation]
    upright = cornered(128, 192)
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(upright.transpose(turn) if turn is not None else upright, kind, exif=exif)
    image = shown(data).convert("RGB")
    assert image.size == (43, 64)
    assert difference(image, upright.resize(image.size, Image.Resampling.LANCZOS)) < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_of_the_picture_as_seen(orientation):
    """Gravity refers to the picture as seen, however it is stored."""
    image = shown(stored("PNG", orientation), width=16, height=16, fit=Fit.COVER, gravity=(0.0, 0.0))
    upright = shown(stored("PNG", 1), width=16, height=16, fit=Fit.COVER, gravity=(0.0, 0.0))
    assert image.getpixel((0, 0)) == RED
    assert difference(image, upright) < 2
