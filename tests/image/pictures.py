"""Pictures that the tests make, and the pixels of renditions."""

from io import BytesIO

import numpy as np
from PIL import Image

from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.recipe.names import Rendition

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 40), (30, 40, 220), (250, 250, 250)


def recipe(**fields) -> Recipe:
    """Return a recipe of one variant, by default a PNG within 64 pixels."""
    return Recipe(variants=(Variant(**{"name": "v", "width": 64, "height": 64, "formats": (Format.PNG,), **fields}),))


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """Return the picture as a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(rendition: Rendition) -> Image.Image:
    """Return the pixels of a rendition."""
    image = Image.open(BytesIO(rendition.data))
    image.load()
    return image


def shown(data: bytes, **fields) -> Image.Image:
    """Return the one picture that `recipe(**fields)` makes of a file."""
    (rendition,) = render(data, recipe(**fields))
    return pixels(rendition)


def cornered(width: int = 96, height: int = 64) -> Image.Image:
    """Return a picture with a different color in each quarter: red, green; blue, white."""
    image = Image.new("RGB", (width, height))
    half = (width // 2, height // 2)
    for color, corner in zip((RED, GREEN, BLUE, WHITE), ((0, 0), (half[0], 0), (0, half[1]), half), strict=True):
        image.paste(color, (*corner, corner[0] + half[0], corner[1] + half[1]))
    return image


def textured(width: int, height: int) -> Image.Image:
    """Return a colorful picture with detail, always the same."""
    random = np.random.default_rng(7)
    coarse = random.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def difference(left: Image.Image, right: Image.Image) -> float:
    """Return the mean absolute difference of two pictures of one size and mode, in levels of 255."""
    return float(np.abs(np.asarray(left, dtype=float) - np.asarray(right, dtype=float)).mean())
