"""Which part of a source each picture shows, and its size, in exact arithmetic. Also: which renditions are animated.

The fits have the names and meanings of sharp (https://sharp.pixelplumbing.com/api-resize; `ResolveShrink` in its
src/common.cc settles what that page leaves open). Without `enlarge`, no axis grows. An axis that the variant leaves
out follows the aspect ratio; with `fill` it keeps the source's size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Final, Self, TypeAlias

from thumbsmith.image.containers.base import Probe
from thumbsmith.recipe.model import AUTO, CENTER, MAX_RENDITION_SIDE, Animation, Fit, Format, Variant
from thumbsmith.recipe.recipe import Recipe

Size: TypeAlias = tuple[int, int]  # width, height, in pixels
Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom, in pixels
Scale: TypeAlias = tuple[Fraction, Fraction]

# Divisors of both sides that a JPEG decoder offers for nearly nothing (libjpeg's scale_denom).
EIGHTH: Final = 8
DCT_SHRINKS: Final = (EIGHTH, 4, 2, 1)

# Each margin is a ratio: pixels of the input for each pixel of the result, on each axis, at least.

# For a picture decoded at a DCT scale. Measured on 7 photographs at 1024 px against full decoding, mean and worst SSIM:
# 0.9981 and 0.9969 at 1.5, 0.9946 and 0.9868 at 1. A photograph with only fine texture can be worse at either.
DCT_MARGIN: Final = 1.5

# For Lanczos after whole pixels were averaged (`reducing_gap` in Pillow). Measured on 8 photographs at 256 px against
# Lanczos alone, mean SSIM: 0.9988 at 3, 0.9981 at 2, which saves a ninth of the whole time.
REDUCING_GAP: Final = 3.0

# For a picture that another one is made from.
CASCADE_MARGIN: Final = 2.0

# For a JPEG 2000 that is decoded at a lower resolution. Measured on 5 photographs at 256 px against full decoding, the
# worst SSIM: 0.9958 at 4, 0.9719 at 2.
WAVELET_MARGIN: Final = 4.0

# Formats of sources whose frames follow one another in time. Those of a TIFF are pages, or sizes of one picture.
ANIMATED_FORMATS: Final = frozenset({"gif", "png", "webp", "avif", "heic"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one picture is made from a source: crop to `box`, resize to `size`, place on a `canvas` at `offset`.

    `box` is in pixels of the source as seen, after EXIF orientation, and may be fractional. `canvas` is the size of
    the rendition. If it is larger than `size`, the rest is background.
    """

    box: Box
    size: Size
    canvas: Size
    offset: tuple[int, int] = (0, 0)

    @property
    def reduction(self) -> float:
        """Return the number of source pixels for each pixel of the result, on the axis with fewer."""
        left, top, right, bottom = self.box
        return min((right - left) / self.size[0], (bottom - top) / self.size[1])


@dataclass(frozen=True, slots=True)
class Layout:
    """The plans of all pictures of one source of this `size` (as seen), and for each the picture it is made from."""

    size: Size
    plans: tuple[Plan, ...]
    parents: tuple[int | None, ...]

    @classmethod
    def of(cls, size: Size, variants: Iterable[Variant]) -> Self:
        """Return the plans of these variants, of one density each, for a source of this `size`."""
        plans = tuple(plan(size, variant) for variant in variants)
        return cls(size, plans, parents(plans, size))

    def only_root(self, others: Iterable[Variant] = ()) -> Size | None:
        """Return the size of the picture of the whole source from which all are made, and can be made for `others`.

        None if there is no such picture.
        """
        roots = [each for each, parent in zip(self.plans, self.parents, strict=True) if parent is None]
        shows_whole = len(roots) == 1 and roots[0].box == (0, 0, *self.size)
        suffices = shows_whole and all(_suffices(roots[0], plan(self.size, each), self.size) for each in others)
        return roots[0].size if suffices else None


@lru_cache(maxsize=1024)
def plan(size: Size, variant: Variant) -> Plan:
    """Return how `variant`, of one density, is made from a source of this `size` (as seen).

    Sides are rounded half up, to 1 pixel at least and 16383 at most. A crop with gravity "auto" is central until the
    variant has its focal point (image/saliency.py). That does not change the size. Plans are cached: several steps need
    the same one, and many pictures of a folder have the same size.
    """
    if variant.density != 1:
        variant = box_for_dpr(size, variant)
    scale = _scale(size, variant)
    if variant.fit is Fit.COVER and variant.width and variant.height:
        gravity = CENTER if variant.gravity == AUTO else variant.gravity
        return _cropped(size, scale, (variant.width, variant.height), gravity)
    made = (_side(size[0] * scale[0]), _side(size[1] * scale[1]))
    whole = (0.0, 0.0, float(size[0]), float(size[1]))
    if variant.fit is not Fit.CONTAIN:
        return Plan(box=whole, size=made, canvas=made)
    canvas = (variant.width or made[0], variant.height or made[1])
    offset = ((canvas[0] - made[0]) // 2, (canvas[1] - made[1]) // 2)
    return Plan(box=whole, size=made, canvas=canvas, offset=offset)


def box_for_dpr(size: Size, variant: Variant) -> Variant:
    """Return the variant at density 1, with its box multiplied by its density, as far as the source has the pixels.

    The picture shows the same as at density 1, so that a browser can choose either. If the source has too few pixels,
    the density is reduced, to 1 at least.
    """
    sides = [side for side in (variant.width, variant.height) if side]
    density = min(Fraction(str(variant.density)), *(Fraction(MAX_RENDITION_SIDE, side) for side in sides))
    if not variant.enlarge:
        density = min(density, max(Fraction(1), 1 / max(_scale(size, replace(variant, enlarge=True, dpr=(1.0,))))))
    width, height = (side and _side(side * density) for side in (variant.width, variant.height))
    return replace(variant, width=width, height=height, dpr=(1.0,))


def _scale(size: Size, variant: Variant) -> Scale:
    """Return the factors for the source's width and height."""
    ratios = [
        Fraction(side, source) if side else None
        for side, source in zip((variant.width, variant.height), size, strict=True)
    ]
    most = [Fraction(MAX_RENDITION_SIDE, side) for side in size]
    if not variant.enlarge:
        most = [min(each, Fraction(1)) for each in most]
    if variant.fit is Fit.FILL:
        across, down = (min(each or Fraction(1), limit) for each, limit in zip(ratios, most, strict=True))
        return (across, down)
    given = [each for each in ratios if each]
    if len(given) == 2 and variant.fit is Fit.COVER:  # the longer side is cropped, so only the box limits it
        chosen = max(given) if variant.enlarge else min(max(given), Fraction(1))
        return (chosen, chosen)
    chosen = max(given) if variant.fit is Fit.OUTSIDE else min(given)
    chosen = min(chosen, *most)
    return (chosen, chosen)


def _cropped(size: Size, scale: Scale, box: Size, gravity: tuple[float, float]) -> Plan:
    """Return the plan of a crop to the shape of the box. The focal point is as central as the source allows."""
    made = (
        min(box[0], _side(size[0] * scale[0])),
        min(box[1], _side(size[1] * scale[1])),
    )
    windows = [
        _window(whole, Fraction(side) / factor, point)
        for whole, side, factor, point in zip(size, made, scale, gravity, strict=True)
    ]
    (left, right), (top, bottom) = windows
    return Plan(box=(left, top, right, bottom), size=made, canvas=made)


def _window(side: int, length: Fraction, point: float) -> tuple[float, float]:
    """Return start and end of a window of this length on a side, centered on a point (0 to 1) as far as possible."""
    length = min(length, Fraction(side))
    start = min(max(Fraction(point) * side - length / 2, Fraction(0)), side - length)
    if length.denominator == 1:
        start = Fraction(int(start))  # whole pixels: a crop without a resize must not blur
    return float(start), float(start + length)


def _side(exact: Fraction) -> int:
    """Return a side in whole pixels: rounded half up, at least 1."""
    return max(1, int(exact + Fraction(1, 2)))


def parents(plans: Sequence[Plan], size: Size) -> tuple[int | None, ...]:
    """Return for each plan the index of the plan whose picture it is made from, None for the decoded source.

    That is the smallest picture that shows the whole source of this `size` and has enough pixels on both axes. The
    choice depends on all plans, not on which of them are carried out: a picture does not depend on what else is made.
    """
    areas = {index: each.size[0] * each.size[1] for index, each in enumerate(plans) if each.box == (0, 0, *size)}
    smallest_first = sorted(areas, key=lambda index: (areas[index], index))
    return tuple(
        next((index for index in smallest_first if _suffices(plans[index], each, size)), None) for each in plans
    )


def _suffices(larger: Plan, smaller: Plan, size: Size) -> bool:
    left, top, right, bottom = scale_box(smaller.box, size, larger.size)
    width, height = smaller.size
    return right - left >= width * CASCADE_MARGIN and bottom - top >= height * CASCADE_MARGIN


def scale_box(box: Box, size: Size, resized: Size) -> Box:
    """Return the place of a `box` in a picture of this `size` after the picture was resized to `resized`."""
    across, down = resized[0] / size[0], resized[1] / size[1]
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down)


def to_stored_orientation(box: Box, size: Size, orientation: int) -> Box:
    """Return the place of a `box` of a picture as seen, of this `size`, in the picture as stored.

    `orientation` is EXIF's, 1 to 8 (Exif 3.0, 4.6.5.1, tag 274): it tells which edges of the picture as seen are the
    first row and the first column as stored.
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


def decoder_shrink(probe: Probe, reduction: float) -> int:
    """Return the power of 2 by which the decoder divides both sides, if this reduction follows.

    A JPEG is decoded at a DCT scale. A TIFF is read from the smallest level of its pyramid with twice the pixels that
    are needed on each axis: SSIM of a photograph at 256 and 512 px is then 0.998; with 1.5 times as many it is 0.995.
    The tiles of a HEIC are averaged one by one, as pixels of any picture are before Lanczos. A JPEG 2000 contains its
    picture at each half of its size. Drawings (SVG, PDF) are drawn at any size: this is the next larger power of 2.
    """
    if probe.format == "jpeg":
        return dct_shrink(reduction)
    margin = {"heic": REDUCING_GAP, "jp2": WAVELET_MARGIN, "svg": 1.0, "pdf": 1.0}.get(probe.format, CASCADE_MARGIN)
    return next((1 << level for level in range(probe.levels, 0, -1) if reduction >= margin * (1 << level)), 1)


def dct_shrink(reduction: float) -> int:
    """Return the divisor (8, 4, 2 or 1) of a JPEG's sides in decoding, if this reduction follows."""
    return next((shrink for shrink in DCT_SHRINKS if reduction >= shrink * DCT_MARGIN), 1)


def first_scan_suffices(recipe: Recipe) -> Callable[[Probe], bool]:
    """Return a function that tells for a JPEG whether an eighth of its sides suffices for all pictures of the recipe.

    It never does if `first_scan` is off.
    """

    def suffices(probe: Probe) -> bool:
        reductions = (plan(probe.size, variant).reduction for variant in recipe.variants_by_density)
        return recipe.limits.first_scan and all(dct_shrink(each) == EIGHTH for each in reductions)

    return suffices


def is_animated_as(probe: Probe, variant: Variant, kind: Format) -> bool:
    """Return whether a variant of this source is animated in this format."""
    wanted = variant.animation is Animation.KEEP and kind.supports_animation
    return wanted and probe.format in ANIMATED_FORMATS and probe.frames > 1


def is_animated(probe: Probe, variant: Variant) -> bool:
    """Return whether a variant of this source is animated in one of its formats."""
    return any(is_animated_as(probe, variant, kind) for kind in variant.outputs(probe.format, alpha=probe.alpha))


def decoded_frames(probe: Probe, recipe: Recipe) -> int:
    """Return the number of frames to decode for a recipe: all if a rendition is animated, else one."""
    return probe.frames if any(is_animated(probe, variant) for variant in recipe.variants) else 1


def whole_milliseconds(exact: Iterable[float]) -> list[int]:
    """Return the duration of each frame in whole milliseconds. No frame starts more than half of one off."""
    ends = [int(end + 0.5) for end in accumulate(exact, initial=0.0)]
    return [after - before for before, after in pairwise(ends)]
