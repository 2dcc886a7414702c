"""The fits, as renditions show them."""

import pytest

from tests.image.pictures import GREEN, RED, cornered, pixels, recipe, saved, shown
from thumbsmith.image.render import render
from thumbsmith.recipe import Fit, Format

SOURCE = saved(cornered(300, 200), "PNG")


@pytest.mark.parametrize(
    ("fit", "size"),
    [
        (Fit.INSIDE, (60, 40)),
        (Fit.COVER, (60, 60)),
        (Fit.CONTAIN, (60, 60)),
        (Fit.OUTSIDE, (90, 60)),
        (Fit.FILL, (60, 60)),
    ],
)
@pytest.mark.parametrize("kind", Format)
def test_a_rendition_has_the_size_that_it_says(fit, size, kind):
    """Its width, height, format and media type are those of the file, for every fit and format."""
    (rendition,) = render(SOURCE, recipe(width=60, height=60, fit=fit, formats=(kind,)))
    image = pixels(rendition)
    assert image.size == (rendition.width, rendition.height) == size
    assert image.get_format_mimetype() == rendition.type == f"image/{kind}"
    assert rendition.format == kind
    assert image.format.lower() == kind


@pytest.mark.parametrize(("gravity", "color"), [((0.0, 0.0), RED), ((1.0, 0.0), GREEN)])
def test_a_crop_keeps_what_gravity_says(gravity, color):
    """A narrow crop on the left shows the left colour alone, on the right the right one."""
    assert shown(SOURCE, width=20, height=40, fit=Fit.COVER, gravity=gravity).getpixel((10, 5)) == color


def test_padding_is_background_and_the_picture_is_in_the_middle():
    """A contained picture has bars of the background above and below, and itself between them."""
    image = shown(SOURCE, width=60, height=60, fit=Fit.CONTAIN, background="#102030")
    assert image.getpixel((30, 3)) == image.getpixel((30, 56)) == (16, 32, 48)
    assert image.getpixel((5, 14)) == RED


def test_a_small_picture_is_not_enlarged_but_padded():
    """Contained in a larger box, a picture keeps its pixels."""
    image = shown(saved(cornered(20, 10), "PNG"), width=40, height=40, fit=Fit.CONTAIN)
    assert image.crop((10, 15, 30, 25)).tobytes() == cornered(20, 10).tobytes()


def test_a_picture_that_needs_no_resize_is_copied():
    """A source smaller than the box comes out as it is, to the pixel."""
    assert shown(saved(cornered(20, 10), "PNG")).tobytes() == cornered(20, 10).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (7, 9), (15, 8)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_odd_sizes_are_made(size, kind):
    """The smallest and the narrowest pictures have thumbnails, at every decoding scale."""
    for side in (1, 3, 256):
        assert shown(saved(cornered(*size), kind), width=side, height=side).width >= 1
