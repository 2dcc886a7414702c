"""The pictures of one source: crop, resize, color, orientation; then flatten, sharpen and pad for each format.

The first reduction comes before color and orientation, so that these handle few pixels. A smaller picture is made from
a larger one if that has enough pixels. Each picture is made once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from thumbsmith.image import color, transform
from thumbsmith.image.decode import DecodedImage
from thumbsmith.image.geometry import Layout, Plan, Size, scale_box, to_stored_orientation
from thumbsmith.image.pillow import Image
from thumbsmith.recipe.model import Color, Format, Variant


def picture_from_source(source: DecodedImage, plan: Plan, size: Size) -> Image.Image:
    """Return a picture (RGB or RGBA, as seen) made from the decoded source. `size` is the source's size, as seen."""
    image = _crop_and_resize(source, plan, size)
    image = color.convert_colors(image, source.to_srgb)
    image = transform.orient(image, source.orientation)
    image = color.to_rgb(image)
    return transform.drop_opaque_alpha(image)


def picture_from_larger(larger: Image.Image, plan: Plan, size: Size) -> Image.Image:
    """Return a picture made from a larger one, which shows the whole source of this `size`."""
    return transform.resize(larger, scale_box(plan.box, size, larger.size), plan.size)


def compose(image: Image.Image, plan: Plan, variant: Variant, kind: Format) -> Image.Image:
    """Return a picture ready to be encoded in a format: of the size of its canvas, without alpha for JPEG."""
    image = image if kind.supports_alpha else transform.flatten(image, variant.background)
    image = transform.sharpen(image, variant.sharpen)
    return transform.pad(image, plan.canvas, plan.offset, variant.background)


def _crop_and_resize(source: DecodedImage, plan: Plan, size: Size) -> Image.Image:
    """Return the part that a plan shows, at its size, in the orientation in which the source is stored."""
    box = to_stored_orientation(plan.box, size, source.orientation)
    across, down = source.shrink
    left, top, right, bottom = box[0] / across, box[1] / down, box[2] / across, box[3] / down
    stored_size = plan.size if source.orientation < 5 else plan.size[::-1]
    return transform.resize(source.image, (left, top, right, bottom), stored_size)


@dataclass(frozen=True, slots=True)
class Cascade:
    """The pictures that a layout plans, each made when it is first needed."""

    source: DecodedImage
    layout: Layout
    _made: dict[int, Image.Image] = field(default_factory=dict, init=False)

    def picture(self, index: int) -> Image.Image:
        """Return the picture of a plan, without padding: RGB or RGBA, as seen."""
        if index not in self._made:
            plan, parent = self.layout.plans[index], self.layout.parents[index]
            self._made[index] = (
                picture_from_source(self.source, plan, self.layout.size)
                if parent is None
                else picture_from_larger(self.picture(parent), plan, self.layout.size)
            )
        return self._made[index]


@dataclass(frozen=True, slots=True)
class Cascades:
    """The pictures of one source, in sRGB and in its own colors. These are the same if the source is in sRGB."""

    srgb: Cascade
    own: Cascade
    own_profile: bytes | None

    @classmethod
    def of(cls, source: DecodedImage, layout: Layout) -> Self:
        """Return the pictures of a decoded source. None of them is made yet."""
        srgb = Cascade(source, layout)
        return cls(srgb, srgb if source.own is None else Cascade(source.in_own_colors(), layout), source.profile)

    def picture(self, index: int, wanted: Color) -> Image.Image:
        """Return the picture of a plan, without padding: RGB or RGBA, as seen."""
        return (self.own if wanted is Color.KEEP else self.srgb).picture(index)

    def profile(self, wanted: Color) -> bytes | None:
        """Return the ICC profile to write with such a picture, None for sRGB."""
        return self.own_profile if wanted is Color.KEEP else None
