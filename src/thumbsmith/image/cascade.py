"""The pictures of one source: each made once, from the smallest larger one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from thumbsmith.image import color, transform
from thumbsmith.image.decode import Base
from thumbsmith.image.geometry import Layout, unturned, within
from thumbsmith.image.pillow import Image
from thumbsmith.recipe.model import Color


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of one source, in sRGB and in its own colours."""

    srgb: Cascade
    kept: Cascade
    own_profile: bytes | None

    @classmethod
    def of(cls, base: Base, layout: Layout) -> Self:
        """Return the pictures of a decoded source."""
        srgb = Cascade(base, layout)
        return cls(srgb, srgb if base.own is None else Cascade(base.kept(), layout), base.profile)

    def picture(self, index: int, wanted: Color) -> Image.Image:
        """Return the picture of a plan, unpadded: RGB or RGBA, as seen."""
        return (self.kept if wanted is Color.KEEP else self.srgb).picture(index)

    def profile(self, wanted: Color) -> bytes | None:
        """Return the ICC profile that such a picture is written with, None for sRGB."""
        return self.own_profile if wanted is Color.KEEP else None


@dataclass(frozen=True, slots=True)
class Cascade:
    """Pictures made on demand by the plans of a layout, from a decoded source."""

    base: Base
    layout: Layout
    _made: dict[int, Image.Image] = field(default_factory=dict, init=False)

    def picture(self, index: int) -> Image.Image:
        """Return the picture of a plan, unpadded: RGB or RGBA, as seen."""
        if index not in self._made:
            parent = self.layout.parents[index]
            self._made[index] = self._first(index) if parent is None else self._further(index, parent)
        return self._made[index]

    def _first(self, index: int) -> Image.Image:
        """Return a picture made from the source itself: reduced first, then brought to its colours and turned."""
        base, size, each = self.base, self.layout.size, self.layout.plans[index]
        left, top, right, bottom = (edge / base.shrink for edge in unturned(each.box, size, base.orientation))
        stored = each.size if base.orientation < 5 else each.size[::-1]
        reduced = transform.resized(base.image, (left, top, right, bottom), stored)
        shown = color.converted(reduced, base.to_srgb) if base.to_srgb else reduced
        return transform.without_idle_alpha(color.plain(transform.turned(shown, base.orientation)))

    def _further(self, index: int, parent: int) -> Image.Image:
        """Return a picture made from another one."""
        source, each = self.picture(parent), self.layout.plans[index]
        return transform.resized(source, within(each.box, self.layout.size, source.size), each.size)
