"""How like its original a written picture is: structural similarity of luminance, cheaply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from thumbsmith.formats.pillow import Image, ImageMath

# The constants of Wang, Bovik, Sheikh and Simoncelli 2004, "Image quality assessment: from error visibility to
# structural similarity", section III.B.
SMOOTH_MEAN: Final = (0.01 * 255) ** 2
SMOOTH_SPREAD: Final = (0.03 * 255) ** 2

# Larger pictures are averaged first until their shorter side has about as many pixels: nobody looks closer.
SHORTER_SIDE: Final = 1024

# Windows of 7 pixels a side, which the blocks of 8 that files are coded in never fill alike.
WINDOW: Final = 7


@dataclass(frozen=True, slots=True)
class Moments:
    """Luminance of a picture, its mean in each window, and the mean of its square."""

    luma: Image.Image
    mean: Image.Image
    square: Image.Image

    @classmethod
    def of(cls, image: Image.Image) -> Self:
        """Return those of an RGB picture, or of what an RGBA picture shows on black."""
        shown = Image.alpha_composite(Image.new("RGBA", image.size, "#000"), image) if image.mode == "RGBA" else image
        factor = max(1, round(min(image.size) / SHORTER_SIDE))
        luma = shown.convert("L").reduce(factor).convert("F")
        return cls(luma, luma.reduce(WINDOW), _product(luma, luma).reduce(WINDOW))


def similarity(one: Moments, other: Moments) -> float:
    """Return the mean structural similarity of two pictures of one size, 1 for the same."""
    both = _product(one.luma, other.luma).reduce(WINDOW)
    found = ImageMath.lambda_eval(
        lambda each: (
            (2 * each["a"] * each["b"] + SMOOTH_MEAN)
            * (2 * (each["ab"] - each["a"] * each["b"]) + SMOOTH_SPREAD)
            / (each["a"] * each["a"] + each["b"] * each["b"] + SMOOTH_MEAN)
            / (each["aa"] - each["a"] * each["a"] + each["bb"] - each["b"] * each["b"] + SMOOTH_SPREAD)
        ),
        a=one.mean,
        b=other.mean,
        ab=both,
        aa=one.square,
        bb=other.square,
    )
    return float(found.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))


def _product(one: Image.Image, other: Image.Image) -> Image.Image:
    made: Image.Image = ImageMath.lambda_eval(lambda each: each["one"] * each["other"], one=one, other=other)
    return made
