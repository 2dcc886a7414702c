"""GIFs with damage after their pixels are made; those with missing pixels are rejected."""

import struct

import pytest

from tests.image.pictures import difference, pixels, recipe, saved, shown, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.render import render

DATA = saved(textured(160, 120).quantize(64), "GIF")


@pytest.mark.parametrize("odd", [DATA[:-1], DATA[:-2], DATA + b"junk" * 99, DATA[:-1] + bytes(999)])
def test_what_follows_the_pixels_may_be_missing_or_wrong(odd: bytes):
    """The trailer and the end of the data are not required, and bytes after them are ignored."""
    assert difference(shown(odd), shown(DATA)) == 0


@pytest.mark.parametrize("screen", [(0, 0), (0, 120), (80, 60)])
def test_a_screen_that_is_too_small_is_made_larger(screen: tuple[int, int]):
    """The first frame is displayed completely, even beyond the screen."""
    assert difference(shown(DATA[:6] + struct.pack("<HH", *screen) + DATA[10:]), shown(DATA)) == 0


@pytest.mark.parametrize("options", [{}, {"interlace": 1}, {"transparency": 5}])
@pytest.mark.parametrize("lost", [40, 300, 3000])
def test_missing_pixels_are_found(options: dict[str, int], lost: int):
    """A GIF whose data end too early is truncated."""
    data = saved(textured(160, 120).quantize(64), "GIF", **options)
    with pytest.raises(Rejected) as refused:
        render(data[:-lost], recipe())
    assert refused.value.code == Code.TRUNCATED


def without_table(data: bytes) -> bytes:
    """Return a GIF without its global color table."""
    size = 3 << (data[10] & 7) + 1
    return data[:10] + bytes((data[10] & 0x7F,)) + data[11:13] + data[13 + size :]


@pytest.mark.parametrize("options", [{}, {"interlace": 1}])
def test_a_picture_without_colors_is_black(options: dict[str, int]):
    """A GIF without a color table is black in every size, as in browsers."""
    odd = without_table(saved(textured(160, 120).quantize(64), "GIF", **options))
    for side in (300, 16):
        found = shown(odd, width=side, height=side)
        assert (found.convert("RGB").getextrema(), found.width) == (((0, 0),) * 3, min(side, 160))


def test_what_is_clear_stays_clear_without_colors():
    """Transparent pixels stay transparent without a color table."""
    image = textured(160, 120).quantize(64)
    data = without_table(saved(image, "GIF", transparency=5))
    wanted = shown(saved(image, "GIF", transparency=5), width=300, height=300).getchannel("A")
    assert difference(shown(data, width=300, height=300).getchannel("A"), wanted) == 0


def test_frames_without_colors_are_black():
    """An animation without a color table is black too."""
    frames = [textured(160, 120).rotate(turn).quantize(64) for turn in (0, 180)]
    data = without_table(saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50))
    (made,) = render(data, recipe(formats=("webp",), animation="keep", width=999))
    moving = pixels(made)
    assert moving.n_frames >= 1
    assert moving.convert("RGB").getextrema() == ((0, 0),) * 3
