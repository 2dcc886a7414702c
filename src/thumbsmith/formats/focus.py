"""Gravity "auto": each crop gets the focal point that its source's picture asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from thumbsmith.formats import saliency
from thumbsmith.formats.cascade import Cascade
from thumbsmith.formats.decoding import Base
from thumbsmith.geometry import Layout, Size, plan
from thumbsmith.recipe.values import AUTO, Variant

# What is looked at to find it, whatever else is made.
OVERVIEW: Final = Variant(name="", width=saliency.SIDE, height=saliency.SIDE)


def focused(variants: tuple[Variant, ...], base: Base, size: Size) -> tuple[Variant, ...]:
    """Return the variants with a point for each gravity "auto", for a source of this `size` as seen, decoded to `base`.

    The point hangs on the shape of the crop alone, so that all densities of a variant show the same.
    """
    if all(each.gravity != AUTO for each in variants):
        return variants
    overview = Cascade(base, Layout.of(size, [OVERVIEW])).picture(0)
    seen = saliency.saliency(overview)
    return tuple(
        replace(each, gravity=saliency.focus(seen, _window(each, size))) if each.gravity == AUTO else each
        for each in variants
    )


def _window(variant: Variant, size: Size) -> tuple[float, float]:
    """Return the shares of the source's sides that a variant shows."""
    left, top, right, bottom = plan(size, replace(variant, dpr=(1.0,))).box
    return (right - left) / size[0], (bottom - top) / size[1]
