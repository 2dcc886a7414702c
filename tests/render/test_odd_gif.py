"""GIFs with faults behind their pixels are made; those that lack pixels are not."""

import struct

import pytest

from tests.render.pictures import difference, recipe, saved, shown, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.render import render

DATA = saved(textured(160, 120).quantize(64), "GIF")


@pytest.mark.parametrize("odd", [DATA[:-1], DATA[:-2], DATA + b"junk" * 99, DATA[:-1] + bytes(999)])
def test_what_follows_the_pixels_may_be_missing_or_wrong(odd: bytes):
    """Neither the trailer nor the end of the data is needed, and what follows is not looked at."""
    assert difference(shown(odd), shown(DATA)) == 0


@pytest.mark.parametrize("screen", [(0, 0), (0, 120), (80, 60)])
def test_a_screen_that_is_too_small_is_made_larger(screen: tuple[int, int]):
    """The first frame is shown in full."""
    assert difference(shown(DATA[:6] + struct.pack("<HH", *screen) + DATA[10:]), shown(DATA)) == 0


@pytest.mark.parametrize("options", [{}, {"interlace": 1}, {"transparency": 5}])
@pytest.mark.parametrize("lost", [40, 300, 3000])
def test_missing_pixels_are_found(options: dict[str, int], lost: int):
    """A picture whose data end too early is truncated."""
    data = saved(textured(160, 120).quantize(64), "GIF", **options)
    with pytest.raises(Rejected) as refused:
        render(data[:-lost], recipe())
    assert refused.value.code == Code.TRUNCATED
