"""Each fit, as its renditions show it."""

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
def test_size_and_type_are_those_of_the_file(fit, size, kind):
    """Width, height, format and media type of a rendition are those of its file, for every fit and format."""
    (rendition,) = render(SOURCE, recipe(width=60, height=60, fit=fit, formats=(kind,)))
    image = pixels(rendition)
    assert image.size == (rendition.width, rendition.height) == size
    assert image.get_format_mimetype() == rendition.type == f"image/{kind}"
    assert rendition.format == kind
    assert image.format.lower() == kind


@pytest.mark.parametrize(("gravity", "color"), [((0.0, 0.0), RED), ((1.0, 0.0), GREEN)])
def test_gravity_chooses_the_part_of_a_crop(gravity, color):
    """A narrow crop on the left shows only the left color, on the right only the right one."""
    assert shown(SOURCE, width=20, height=40, fit=Fit.COVER, gravity=gravity).getpixel((10, 5)) == color


def test_padding_is_background_around_the_picture():
    """With fit contain, the picture is between two bars of background."""
    image = shown(SOURCE, width=60, height=60, fit=Fit.CONTAIN, background="#102030")
    assert image.getpixel((30, 3)) == image.getpixel((30, 56)) == (16, 32, 48)
    assert image.getpixel((5, 14)) == RED


def test_contain_pads_a_small_picture_without_enlarging():
    """With fit contain and a larger box, the pixels of the picture stay unchanged."""
    image = shown(saved(cornered(20, 10), "PNG"), width=40, height=40, fit=Fit.CONTAIN)
    assert image.crop((10, 15, 30, 25)).tobytes() == cornered(20, 10).tobytes()


def test_a_small_source_keeps_its_pixels():
    """A source that is smaller than the box keeps its pixels."""
    assert shown(saved(cornered(20, 10), "PNG")).tobytes() == cornered(20, 10).tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (7, 9), (15, 8)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_tiny_and_narrow_sources_have_thumbnails(size, kind):
    """The smallest and the narrowest sources have thumbnails, at every scale of the decoder."""
    for side in (1, 3, 256):
        assert shown(saved(cornered(*size), kind), width=side, height=side).width >= 1
