"""Which renditions move, and how many of a source's frames that takes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import Final

from thumbsmith.probe.types import Probe
from thumbsmith.recipe.values import Animation, Format, Recipe, Variant

# Formats of sources whose frames follow one another in time. Those of a TIFF are pages, or sizes of one picture.
MOVING: Final = frozenset({"gif", "png", "webp", "avif"})


def moves(probe: Probe, variant: Variant, kind: Format) -> bool:
    """Return whether a variant of this source, written in this format, is an animation."""
    wanted = variant.animation is Animation.KEEP and kind.holds_animation
    return wanted and probe.format in MOVING and probe.frames > 1


def moving(probe: Probe, variant: Variant) -> bool:
    """Return whether a variant of this source is an animation in any of its formats."""
    return any(moves(probe, variant, kind) for kind in variant.outputs(probe.format, alpha=probe.alpha))


def frames(probe: Probe, recipe: Recipe) -> int:
    """Return how many frames of a source are decoded for a recipe: all where a rendition moves, else the first."""
    return probe.frames if any(moving(probe, variant) for variant in recipe.variants) else 1


def durations(exact: Iterable[float]) -> list[int]:
    """Return how long each frame is shown, in whole milliseconds, so that none begins half of one too early or late."""
    ends = [int(end + 0.5) for end in accumulate(exact, initial=0.0)]
    return [after - before for before, after in pairwise(ends)]
