"""What a crop keeps where nobody says it: the part of a picture that has detail, in colours that stand out.

Detail is how far a pixel is from the mean around it; what stands out, how far that mean is from the picture's: the
frequency-tuned saliency of Achanta, Hemami, Estrada and Süsstrunk 2009. Their product is large on faces, animals and
things, and small on skies and on grass. Compared with others in bench/gravity.py.

Gravity "auto": each crop gets the focal point that its source's picture asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Any, Final

from thumbsmith.image.cascade import Cascade
from thumbsmith.image.decode import Base
from thumbsmith.image.geometry import Layout, Size, plan
from thumbsmith.image.pillow import Image, ImageFilter, ImageMath
from thumbsmith.recipe.model import AUTO, Variant

# What is looked at is a picture of this size, which costs less than a millisecond; means are Gaussian, in its pixels.
SIDE: Final = 96
AROUND: Final = 3.0
NEAR: Final = 1.5

# How much less the picture's edges count than its middle, as a share of all that is salient: of two crops that are as
# good the more central one is meant.
DECENTRAL: Final = 0.03


def focus(seen: Image.Image, window: tuple[float, float]) -> tuple[float, float]:
    """Return the point, each 0 to 1, on which a crop is best centred that is `window` of a picture's sides long.

    `seen` is its saliency.
    """
    across = seen.resize((seen.width, 1), Image.Resampling.BOX)
    down = seen.resize((1, seen.height), Image.Resampling.BOX)
    return _center(_levels(across), window[0]), _center(_levels(down), window[1])


def saliency(image: Image.Image) -> Image.Image:
    """Return how much each place of an RGB or RGBA picture draws the eye, in floats, at most 96 pixels a side.

    What is transparent is grey.
    """
    small = image.convert("RGBA") if image.mode == "RGBA" else image.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "#808080"), small).convert("RGB")
    details, distances = zip(*map(_contrasts, small.convert("YCbCr").split()), strict=True)
    made: Image.Image = ImageMath.lambda_eval(
        lambda each: _sum(each, "detail") * _sum(each, "distance"),
        **{f"detail{n}": each for n, each in enumerate(details)},
        **{f"distance{n}": each for n, each in enumerate(distances)},
    )
    return made


def _contrasts(channel: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return how far each pixel of a channel is from those around it, and they are from all."""
    levels = channel.convert("F")
    around, near = (_blurred(channel, radius) for radius in (AROUND, NEAR))
    everywhere = levels.resize((1, 1), Image.Resampling.BOX).resize(channel.size)
    detail, distance = (
        ImageMath.lambda_eval(lambda each: abs(each["one"] - each["other"]), one=one, other=other)
        for one, other in ((levels, around), (near, everywhere))
    )
    return detail, distance


def _blurred(channel: Image.Image, radius: float) -> Image.Image:
    return channel.filter(ImageFilter.GaussianBlur(radius)).convert("F")


def _sum(each: dict[str, Any], name: str) -> Any:
    return each[f"{name}0"] + each[f"{name}1"] + each[f"{name}2"]


def _levels(line: Image.Image) -> list[float]:
    return list(memoryview(line.tobytes()).cast("f"))


def _center(levels: Sequence[float], share: float) -> float:
    """Return where the centre of the best window of this share of a side is, 0 to 1.

    What is in a window counts by how near to its middle it is: a subject at its very edge is as good as cut.
    """
    length, count = share * len(levels), len(levels)
    total = sum(levels)
    steps = round(count - length)
    if steps < 1 or not total:
        return 0.5
    weights = [sqrt(max(0.0, 1 - abs(2 * (place + 0.5) / length - 1))) for place in range(int(length))]

    def worth(start: int) -> float:
        held = sum(weight * level for weight, level in zip(weights, levels[start:], strict=False))
        return held / total - DECENTRAL * (2 * start / steps - 1) ** 2

    best = max(range(steps + 1), key=lambda start: (worth(start), -abs(2 * start - steps)))
    return (best / steps * (count - length) + length / 2) / count


# What is looked at to find it, whatever else is made.
OVERVIEW: Final = Variant(name="", width=SIDE, height=SIDE)


def focused(variants: tuple[Variant, ...], base: Base, size: Size) -> tuple[Variant, ...]:
    """Return the variants with a point for each gravity "auto", for a source of this `size` as seen, decoded to `base`.

    The point hangs on the shape of the crop alone, so that all densities of a variant show the same.
    """
    if all(each.gravity != AUTO for each in variants):
        return variants
    overview = Cascade(base, Layout.of(size, [OVERVIEW])).picture(0)
    seen = saliency(overview)
    return tuple(
        replace(each, gravity=focus(seen, _window(each, size))) if each.gravity == AUTO else each for each in variants
    )


def _window(variant: Variant, size: Size) -> tuple[float, float]:
    """Return the shares of the source's sides that a variant shows."""
    left, top, right, bottom = plan(size, replace(variant, dpr=(1.0,))).box
    return (right - left) / size[0], (bottom - top) / size[1]
