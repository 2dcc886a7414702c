"""Where each pixel of a variant comes from: sizes in, sizes out, in exact arithmetic.

The words and their meanings are sharp's (https://sharp.pixelplumbing.com/api-resize; what its page leaves open is
settled by `ResolveShrink` in its src/common.cc): without `enlarge` no axis grows, and an axis that the variant leaves
out follows the aspect ratio, or stays the source's where `fill` gives that up.

What a decoder gives smaller than it is stored, for less than the whole costs.

Which renditions move, and how many of a source's frames that takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final, Self, TypeAlias

from thumbsmith.image.containers.base import Probe
from thumbsmith.recipe.model import AUTO, CENTER, MAX_RENDITION_SIDE, Animation, Fit, Format, Recipe, Variant

Size: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom
Scale: TypeAlias = tuple[Fraction, Fraction]

# What a JPEG decoder can divide both sides by, for nearly nothing (libjpeg's scale_denom).
DCT_SHRINKS: Final = (8, 4, 2, 1)

# A picture decoded at a DCT scale keeps at least this many pixels per pixel that is made of it, on each axis.
# Measured on 7 photographs at 1024 px against full decoding, mean and worst SSIM: 0.9981 and 0.9969 at 1.5, 0.9946 and
# 0.9868 at 1. A photograph of nothing but fine texture can do worse at either.
DCT_MARGIN: Final = 1.5

# Whole pixels are averaged first where that leaves at least this many of them to go into one on each axis. Measured on
# 8 photographs at 256 px against Lanczos alone, mean SSIM: 0.9988 at 3, 0.9981 at 2, for a ninth less time in all.
REDUCING_GAP: Final = 3.0

# What a picture keeps, as for DCT_MARGIN, from which another is made.
CASCADE_MARGIN: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one variant is made of a source: take `box`, resize it to `size`, lay it on a `canvas` at `offset`.

    `box` is in pixels of the source as seen, after the EXIF turn, and may be fractional. `canvas` is the rendition's
    size; where it is larger than `size` the rest is background.
    """

    box: Box
    size: Size
    canvas: Size
    offset: tuple[int, int] = (0, 0)

    @property
    def reduction(self) -> float:
        """Return how many source pixels go into one that is made, on the axis where these are fewer."""
        left, top, right, bottom = self.box
        return min((right - left) / self.size[0], (bottom - top) / self.size[1])


@dataclass(frozen=True, slots=True)
class Layout:
    """How all pictures of one source of this `size` (width, height, as seen) are made, worked out once.

    `parents` names for each plan the other one whose picture it is made from, as `parents()` returns it.
    """

    size: Size
    plans: tuple[Plan, ...]
    parents: tuple[int | None, ...]

    @classmethod
    def of(cls, size: Size, variants: Iterable[Variant]) -> Self:
        """Return how these variants, of one density each, are made of a source of this `size`."""
        plans = tuple(plan(size, variant) for variant in variants)
        return cls(size, plans, parents(plans, size))


def plan(size: Size, variant: Variant) -> Plan:
    """Return how `variant`, of one density, is made of a source of this `size` (width, height, as seen).

    Sides are rounded half up, are at least 1 and at most 16383 pixels. For gravity "auto" the sides are those of any
    other; a crop is central until the variant is given a point (image/saliency.py).
    """
    if variant.density != 1:
        variant = box_for_dpr(size, variant)
    scale = _scale(size, variant)
    if variant.fit is Fit.COVER and variant.width and variant.height:
        return _cropped(
            size, scale, (variant.width, variant.height), CENTER if variant.gravity == AUTO else variant.gravity
        )
    made = (_side(size[0] * scale[0]), _side(size[1] * scale[1]))
    whole = (0.0, 0.0, float(size[0]), float(size[1]))
    if variant.fit is not Fit.CONTAIN:
        return Plan(box=whole, size=made, canvas=made)
    canvas = (variant.width or made[0], variant.height or made[1])
    offset = ((canvas[0] - made[0]) // 2, (canvas[1] - made[1]) // 2)
    return Plan(box=whole, size=made, canvas=canvas, offset=offset)


def dct_shrink(reduction: float) -> int:
    """Return what a JPEG's sides may be divided by in decoding, 8, 4, 2 or 1, where this reduction is to come."""
    return next((shrink for shrink in DCT_SHRINKS if reduction >= shrink * DCT_MARGIN), 1)


def parents(plans: Sequence[Plan], size: Size) -> tuple[int | None, ...]:
    """Return for each plan which other one's picture it is best made from; None is the decoded source of this `size`.

    That is the smallest one that holds the whole source, unpadded, with enough pixels left on both axes. It hangs on
    all plans, never on which of them are carried out: a picture is the same whatever is made beside it.
    """
    areas = {index: each.size[0] * each.size[1] for index, each in enumerate(plans) if _is_whole(each, size)}
    smallest_first = sorted(areas, key=lambda index: (areas[index], index))
    return tuple(next((index for index in smallest_first if _serves(plans[index], each, size)), None) for each in plans)


def scale_box(box: Box, size: Size, held: Size) -> Box:
    """Return where `box` of a picture of this `size` lies in a copy of it that was resized to `held`."""
    across, down = held[0] / size[0], held[1] / size[1]
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)


def to_stored_orientation(box: Box, size: Size, orientation: int) -> Box:
    """Return where `box` of a picture of `size` as seen lies in the picture as stored.

    `orientation` is EXIF's 1 to 8 (Exif 3.0, 4.6.5.1, tag 274): which edges of the picture as seen the first row and
    the first column as stored are.
    """
    left, top, right, bottom = box
    width, height = size
    if orientation >= 5:
        left, top, right, bottom = top, left, bottom, right
        width, height = height, width
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return (left, top, right, bottom)


def _is_whole(each: Plan, size: Size) -> bool:
    return each.box == (0, 0, *size)


def _serves(larger: Plan, smaller: Plan, size: Size) -> bool:
    left, top, right, bottom = scale_box(smaller.box, size, larger.size)
    width, height = smaller.size
    return right - left >= width * CASCADE_MARGIN and bottom - top >= height * CASCADE_MARGIN


def _scale(size: Size, variant: Variant) -> Scale:
    """Return what the source's width and height are multiplied by."""
    wanted = [
        Fraction(side, found) if side else None
        for side, found in zip((variant.width, variant.height), size, strict=True)
    ]
    most = [Fraction(MAX_RENDITION_SIDE, found) for found in size]
    if not variant.enlarge:
        most = [min(each, Fraction(1)) for each in most]
    if variant.fit is Fit.FILL:
        across, down = (min(each or Fraction(1), limit) for each, limit in zip(wanted, most, strict=True))
        return (across, down)
    given = [each for each in wanted if each]
    if len(given) == 2 and variant.fit is Fit.COVER:  # the longer side is cropped, so only the box limits it
        chosen = max(given) if variant.enlarge else min(max(given), Fraction(1))
        return (chosen, chosen)
    chosen = max(given) if variant.fit is Fit.OUTSIDE else min(given)
    chosen = min(chosen, *most)
    return (chosen, chosen)


def box_for_dpr(size: Size, variant: Variant) -> Variant:
    """Return the variant with a box of as many more pixels as its density asks for and the source has.

    The picture shows the same as at density 1, so that either can stand for the other: where the source has too few
    pixels the density is as high as these allow, and 1 at least.
    """
    sides = [side for side in (variant.width, variant.height) if side]
    density = min(Fraction(str(variant.density)), *(Fraction(MAX_RENDITION_SIDE, side) for side in sides))
    if not variant.enlarge:
        density = min(density, max(Fraction(1), 1 / max(_scale(size, replace(variant, enlarge=True, dpr=(1.0,))))))
    width, height = (side and _side(side * density) for side in (variant.width, variant.height))
    return replace(variant, width=width, height=height, dpr=(1.0,))


def _cropped(size: Size, scale: Scale, box: Size, gravity: tuple[float, float]) -> Plan:
    """Return the plan of a crop: of what the box shows, with the focal point as central as the picture allows."""
    made = (
        min(box[0], _side(size[0] * scale[0])),
        min(box[1], _side(size[1] * scale[1])),
    )
    windows = [
        _window(found, Fraction(side) / factor, point)
        for found, side, factor, point in zip(size, made, scale, gravity, strict=True)
    ]
    (left, right), (top, bottom) = windows
    return Plan(box=(left, top, right, bottom), size=made, canvas=made)


def _window(side: int, length: Fraction, point: float) -> tuple[float, float]:
    """Return where a window of this length begins and ends on a side, centred on a point of 0 to 1 where it can be."""
    length = min(length, Fraction(side))
    start = min(max(Fraction(point) * side - length / 2, Fraction(0)), side - length)
    if length.denominator == 1:
        start = Fraction(int(start))  # whole pixels: a crop that resizes nothing must not blur either
    return float(start), float(start + length)


def _side(exact: Fraction) -> int:
    """Return a side in whole pixels: rounded half up, at least 1."""
    return max(1, int(exact + Fraction(1, 2)))


def decoder_shrink(probe: Probe, reduction: float) -> int:
    """Return what a source's sides are divided by in decoding, where this reduction is to come: a power of 2.

    A JPEG is decoded at a DCT scale; a TIFF at the smallest level of its pyramid with twice what is needed on each
    axis: structural similarity of a photograph at 256 and 512 px is then 0.998, from 1.5 times as much 0.995. The tiles
    of a HEIC are averaged one by one, as pixels of any picture are before they are resized.
    """
    if probe.format == "jpeg":
        return dct_shrink(reduction)
    margin = REDUCING_GAP if probe.format == "heic" else CASCADE_MARGIN
    return next((1 << level for level in range(probe.levels, 0, -1) if reduction >= margin * (1 << level)), 1)


def first_scan_suffices(recipe: Recipe) -> Callable[[Probe], bool]:
    """Return what tells of a JPEG whether an eighth of its sides is enough for all of the recipe's pictures.

    It is never where the recipe wants no `first_scan`.
    """

    def serves(probe: Probe) -> bool:
        reductions = (plan(probe.size, variant).reduction for variant in recipe.pictures)
        return recipe.limits.first_scan and all(dct_shrink(each) == DCT_SHRINKS[0] for each in reductions)

    return serves


# Formats of sources whose frames follow one another in time. Those of a TIFF are pages, or sizes of one picture.
ANIMATED_FORMATS: Final = frozenset({"gif", "png", "webp", "avif"})


def is_animated_as(probe: Probe, variant: Variant, kind: Format) -> bool:
    """Return whether a variant of this source, written in this format, is an animation."""
    wanted = variant.animation is Animation.KEEP and kind.holds_animation
    return wanted and probe.format in ANIMATED_FORMATS and probe.frames > 1


def is_animated(probe: Probe, variant: Variant) -> bool:
    """Return whether a variant of this source is an animation in any of its formats."""
    return any(is_animated_as(probe, variant, kind) for kind in variant.outputs(probe.format, alpha=probe.alpha))


def decoded_frames(probe: Probe, recipe: Recipe) -> int:
    """Return how many frames of a source are decoded for a recipe: all where a rendition moves, else the first."""
    return probe.frames if any(is_animated(probe, variant) for variant in recipe.variants) else 1


def whole_milliseconds(exact: Iterable[float]) -> list[int]:
    """Return how long each frame is shown, in whole milliseconds, so that none begins half of one too early or late."""
    ends = [int(end + 0.5) for end in accumulate(exact, initial=0.0)]
    return [after - before for before, after in pairwise(ends)]
