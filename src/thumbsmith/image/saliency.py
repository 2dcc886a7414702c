"""Gravity "auto": the focal point of a crop is where the picture has detail, in colors that stand out.

Detail is the difference between a pixel and the mean around it. A color stands out by the difference between that mean
and the mean of the picture: the frequency-tuned saliency of Achanta, Hemami, Estrada and Süsstrunk 2009. The product
of both is large on faces, animals and objects, and small on sky and grass. bench/gravity.py compares it with others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Any, Final

from thumbsmith.image.geometry import Size, plan
from thumbsmith.image.pillow import Image, ImageFilter, ImageMath
from thumbsmith.recipe.model import AUTO, Variant

# Saliency is computed on a picture of this size, in less than a millisecond.
SIDE_PIXELS: Final = 96
OVERVIEW: Final = Variant(name="overview", width=SIDE_PIXELS, height=SIDE_PIXELS)

# Standard deviations of the Gaussian means.
DETAIL_SIGMA_PIXELS: Final = 3.0
COLOR_SIGMA_PIXELS: Final = 1.5

# Penalty of a crop at the edge against one in the middle, as a share of all saliency: of two crops that are equally
# good, the more central one is chosen.
EDGE_PENALTY: Final = 0.03


def with_focal_points(variants: tuple[Variant, ...], overview: Image.Image, size: Size) -> tuple[Variant, ...]:
    """Return the variants with a focal point for each gravity "auto".

    `overview` is the whole source as OVERVIEW shows it, `size` the size of the source, as seen. The point depends only
    on the shape of the crop, so that all densities of a variant show the same.
    """
    salient = saliency(overview)
    return tuple(
        replace(each, gravity=focal_point(salient, _window(each, size))) if each.gravity == AUTO else each
        for each in variants
    )


def _window(variant: Variant, size: Size) -> tuple[float, float]:
    """Return the shares of the source's sides that a variant shows."""
    left, top, right, bottom = plan(size, replace(variant, dpr=(1.0,))).box
    return (right - left) / size[0], (bottom - top) / size[1]


def focal_point(salient: Image.Image, window: tuple[float, float]) -> tuple[float, float]:
    """Return the point (x and y, 0 to 1) for the center of a crop.

    `salient` is the saliency of the picture. `window` is the size of the crop, as shares of the picture's sides.
    """
    across = salient.resize((salient.width, 1), Image.Resampling.BOX)
    down = salient.resize((1, salient.height), Image.Resampling.BOX)
    return _center(_levels(across), window[0]), _center(_levels(down), window[1])


def saliency(image: Image.Image) -> Image.Image:
    """Return how much each place of an RGB or RGBA picture attracts attention, as floats, at most 96 pixels a side.

    Transparent places count as gray.
    """
    small = image.convert("RGBA") if image.mode == "RGBA" else image.convert("RGB")
    small.thumbnail((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.BOX)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "#808080"), small).convert("RGB")
    details, distances = zip(*map(_contrasts, small.convert("YCbCr").split()), strict=True)
    product: Image.Image = ImageMath.lambda_eval(
        lambda each: _sum(each, "detail") * _sum(each, "distance"),
        **{f"detail{n}": each for n, each in enumerate(details)},
        **{f"distance{n}": each for n, each in enumerate(distances)},
    )
    return product


def _contrasts(channel: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Return two differences for each pixel of a channel: to its surroundings, and of these to the whole channel."""
    levels = channel.convert("F")
    around, near = (_blurred(channel, sigma) for sigma in (DETAIL_SIGMA_PIXELS, COLOR_SIGMA_PIXELS))
    mean = levels.resize((1, 1), Image.Resampling.BOX).resize(channel.size)
    detail, distance = (
        ImageMath.lambda_eval(lambda each: abs(each["one"] - each["other"]), one=one, other=other)
        for one, other in ((levels, around), (near, mean))
    )
    return detail, distance


def _blurred(channel: Image.Image, sigma: float) -> Image.Image:
    return channel.filter(ImageFilter.GaussianBlur(sigma)).convert("F")


def _sum(each: dict[str, Any], name: str) -> Any:
    return each[f"{name}0"] + each[f"{name}1"] + each[f"{name}2"]


def _levels(line: Image.Image) -> list[float]:
    return list(memoryview(line.tobytes()).cast("f"))


def _center(levels: Sequence[float], share: float) -> float:
    """Return the center, 0 to 1, of the best window of this share of a side.

    Saliency counts more towards the middle of the window: a subject at its very edge is as good as cut.
    """
    length, count = share * len(levels), len(levels)
    total = sum(levels)
    steps = round(count - length)
    if steps < 1 or not total:
        return 0.5
    weights = [sqrt(max(0.0, 1 - abs(2 * (place + 0.5) / length - 1))) for place in range(int(length))]

    def score(start: int) -> float:
        inside = sum(weight * level for weight, level in zip(weights, levels[start:], strict=False))
        return inside / total - EDGE_PENALTY * (2 * start / steps - 1) ** 2

    best = max(range(steps + 1), key=lambda start: (score(start), -abs(2 * start - steps)))
    return (best / steps * (count - length) + length / 2) / count
