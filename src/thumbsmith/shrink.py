"""What a decoder gives smaller than it is stored, for less than the whole costs."""

from __future__ import annotations

from thumbsmith.geometry import CASCADE_MARGIN, dct_shrink
from thumbsmith.probe.types import Probe


def shrink(probe: Probe, reduction: float) -> int:
    """Return what a source's sides are divided by in decoding, where this reduction is to come: a power of 2.

    A JPEG is decoded at a DCT scale; a TIFF at the smallest level of its pyramid with twice what is needed on each
    axis: structural similarity of a photograph at 256 and 512 px is then 0.998, from 1.5 times as much 0.995.
    """
    if probe.format == "jpeg":
        return dct_shrink(reduction)
    return next((1 << level for level in range(probe.levels, 0, -1) if reduction >= CASCADE_MARGIN * (1 << level)), 1)
