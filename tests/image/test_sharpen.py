"""`sharpen`: the unsharp mask."""

import numpy as np
from PIL import Image, ImageFilter

from tests.image.pictures import saved, shown, textured
from thumbsmith.image.render import render
from thumbsmith.image.transform import sharpen
from thumbsmith.recipe import Format, Recipe, Variant


def _edges(image: Image.Image) -> float:
    return float(np.asarray(image.convert("L").filter(ImageFilter.FIND_EDGES), dtype=float)[2:-2, 2:-2].mean())


def test_a_higher_value_is_sharper():
    """A higher value gives more contrast between neighboring pixels; 0 leaves the picture unchanged."""
    source = saved(textured(256, 256), "PNG")
    plain, little, much = (shown(source, sharpen=strength) for strength in (0.0, 0.3, 1.0))
    assert _edges(plain) < _edges(little) < _edges(much)
    assert plain == shown(source)


def test_flat_areas_do_not_change():
    """Areas of one color do not change."""
    image = Image.new("RGB", (20, 20), (10, 200, 90))
    assert sharpen(image, 2.0) == image


def test_transparent_pixels_add_no_color():
    """Alpha stays, and the edge of a flat shape keeps its color; the color of transparent pixels has no effect."""
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    image.paste((200, 120, 40, 255), (10, 10, 30, 30))
    image.putpixel((9, 15), (200, 120, 40, 128))
    made = np.asarray(sharpen(image, 1.0), dtype=int)
    before = np.asarray(image, dtype=int)
    assert (made[..., 3] == before[..., 3]).all()
    seen = before[..., 3] > 0
    assert np.abs(made[seen] - before[seen]).max() <= 2


def test_a_picture_made_from_a_larger_one_is_sharpened_once():
    """A variant is the same with and without a larger, sharpened variant beside it."""
    large = Variant(name="large", width=200, formats=(Format.PNG,))
    small = Variant(name="small", width=50, formats=(Format.PNG,), sharpen=0.5)
    data = saved(textured(400, 300), "JPEG")
    pictures = [
        {each.variant: each.data for each in render(data, Recipe(variants=(first, small)))}
        for first in (large, Variant(name="large", width=200, formats=(Format.PNG,), sharpen=5.0))
    ]
    assert pictures[0]["small"] == pictures[1]["small"]
    assert pictures[0]["large"] != pictures[1]["large"]
