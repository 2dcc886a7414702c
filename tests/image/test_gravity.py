"""`gravity = "auto"`: a crop keeps the salient part of a picture."""

from pathlib import Path

import pytest

from gravity import ours
from subjects import Labelled, pictures
from tests.image.pictures import pixels, recipe, saved, shown
from thumbsmith.image.pillow import Image, ImageDraw
from thumbsmith.image.render import render
from thumbsmith.image.saliency import focal_point, saliency
from thumbsmith.recipe import Fit, Recipe
from thumbsmith.recipe.model import AUTO, CENTER

SAMPLES = Path(__file__).parents[2] / "src" / "thumbsmith" / "samples"
WIDE = {"width": 40, "height": 40, "fit": Fit.COVER, "gravity": AUTO}


def _spotted(width: int, height: int, at: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """Return a picture of one color with a checked spot of another."""
    image = Image.new(mode, (width, height), "#5577aa")
    draw = ImageDraw.Draw(image)
    for step in range(16):
        left, top = at[0] + step % 4 * 6 - 12, at[1] + step // 4 * 6 - 12
        draw.rectangle((left, top, left + 5, top + 5), fill="#d04020" if (step + step // 4) % 2 else "#f0e0a0")
    return image


def _is_red(image: Image.Image) -> bool:
    return any(red > 150 and blue < 80 for red, _, blue in image.convert("RGB").get_flattened_data())


@pytest.mark.parametrize("at", [(30, 50), (150, 50), (270, 50)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_crop_shows_the_spot(at: tuple[int, int], mode: str):
    """The crop shows the spot at any place along a wide or a tall picture."""
    wide = _spotted(300, 100, at, mode)
    assert _is_red(shown(saved(wide, "PNG"), **WIDE))
    assert _is_red(shown(saved(wide.transpose(Image.Transpose.TRANSPOSE), "PNG"), **WIDE))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_crop_shows_the_spot_of_an_oriented_photo(orientation: int):
    """The focal point is found in the picture as seen, after EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert _is_red(shown(saved(_spotted(300, 100, (30, 50)), "PNG", exif=exif), **WIDE))


def test_a_flat_picture_is_cropped_in_the_center():
    """The crop is central if nothing stands out, or if nothing can be cut."""
    flat = saved(Image.new("RGB", (300, 100), "#808080"), "PNG")
    assert shown(flat, **WIDE) == shown(flat, **{**WIDE, "gravity": CENTER})
    assert focal_point(saliency(Image.new("RGB", (300, 100), "#123456")), (1 / 3, 1)) == CENTER
    assert focal_point(saliency(_spotted(100, 100, (20, 20))), (1, 1)) == CENTER
    assert focal_point(saliency(Image.new("RGB", (1, 1))), (0.5, 0.5)) == CENTER


def test_all_densities_show_the_same():
    """A rendition of a higher density shows the same part."""
    text = "[variants.v]\nwidth = 30\nheight = 30\nfit = 'cover'\ngravity = 'auto'\ndpr = [1, 2]\nformats = ['png']"
    once, twice = render(saved(_spotted(400, 100, (311, 47)), "PNG"), Recipe.loads(text))
    small = pixels(twice).resize((30, 30), Image.Resampling.BOX)
    worst = max(
        abs(one - other) for one, other in zip(small.tobytes(), pixels(once).convert("RGB").tobytes(), strict=True)
    )
    assert worst <= 60  # along the checks' edges; a pixel aside it would be 150


def test_auto_changes_only_crops_of_its_variant():
    """Gravity "auto" changes only crops, and only of its own variant."""
    data = (SAMPLES / "coffee.webp").read_bytes()
    whole = recipe(fit=Fit.INSIDE)
    assert render(data, recipe(fit=Fit.INSIDE, gravity=AUTO)) == render(data, whole)
    crop = Recipe.loads("[variants.w]\nwidth = 32\nheight = 32\nfit = 'cover'\ngravity = 'auto'").variants
    assert render(data, Recipe(variants=(*whole.variants, *crop)))[0] == render(data, whole)[0]


def _shipped() -> list[Labelled]:
    return [each for each in pictures() if each.kind == "pasted" or each.name.split()[0] in {*_names()}]


def _names() -> list[str]:
    return [path.name for path in SAMPLES.iterdir()]


def test_subjects_are_kept():
    """Of the labelled pictures, at least 9 of 10 keep their subject; with central crops it is 6 of 10."""
    labelled = _shipped()
    assert len(labelled) >= 35
    auto, center = (sum(each.survives(ours(each.image, gravity)) for each in labelled) for gravity in (AUTO, CENTER))
    assert auto >= 0.9 * len(labelled)
    assert center <= 0.6 * len(labelled)
