"""What a decoder gives smaller than it is stored, for less than the whole costs."""

from __future__ import annotations

from collections.abc import Callable

from thumbsmith.geometry import CASCADE_MARGIN, DCT_SHRINKS, GAP, dct_shrink, plan
from thumbsmith.probe.types import Probe
from thumbsmith.recipe.values import Recipe


def shrink(probe: Probe, reduction: float) -> int:
    """Return what a source's sides are divided by in decoding, where this reduction is to come: a power of 2.

    A JPEG is decoded at a DCT scale; a TIFF at the smallest level of its pyramid with twice what is needed on each
    axis: structural similarity of a photograph at 256 and 512 px is then 0.998, from 1.5 times as much 0.995. The tiles
    of a HEIC are averaged one by one, as pixels of any picture are before they are resized.
    """
    if probe.format == "jpeg":
        return dct_shrink(reduction)
    margin = GAP if probe.format == "heic" else CASCADE_MARGIN
    return next((1 << level for level in range(probe.levels, 0, -1) if reduction >= margin * (1 << level)), 1)


def eighth_serves(recipe: Recipe) -> Callable[[Probe], bool]:
    """Return what tells of a JPEG whether an eighth of its sides is enough for all of the recipe's pictures.

    It is never where the recipe wants no `first_scan`.
    """

    def serves(probe: Probe) -> bool:
        reductions = (plan(probe.size, variant).reduction for variant in recipe.pictures)
        return recipe.limits.first_scan and all(dct_shrink(each) == DCT_SHRINKS[0] for each in reductions)

    return serves
