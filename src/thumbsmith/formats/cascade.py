"""The pictures of one source: each made once, from the smallest larger one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image

from thumbsmith.formats import color, picture
from thumbsmith.formats.decoding import Base
from thumbsmith.geometry import Plan, Size, parents, unturned, within


@dataclass(frozen=True, slots=True)
class Cascade:
    """Pictures made on demand by their plans, from a decoded source of this `size` as seen."""

    base: Base
    size: Size
    plans: Sequence[Plan]
    _made: dict[int, Image.Image] = field(default_factory=dict, init=False)

    def picture(self, index: int) -> Image.Image:
        """Return the picture of a plan, unpadded: RGB or RGBA, in sRGB, as seen."""
        if index not in self._made:
            parent = parents(self.plans, self.size)[index]
            self._made[index] = self._first(index) if parent is None else self._further(index, parent)
        return self._made[index]

    def _first(self, index: int) -> Image.Image:
        """Return a picture made from the source itself: reduced first, then brought to sRGB and turned."""
        base, each = self.base, self.plans[index]
        left, top, right, bottom = (edge / base.shrink for edge in unturned(each.box, self.size, base.orientation))
        size = each.size if base.orientation < 5 else each.size[::-1]
        reduced = picture.resized(base.image, (left, top, right, bottom), size)
        shown = color.converted(reduced, base.to_srgb) if base.to_srgb else reduced
        return picture.without_idle_alpha(color.plain(picture.turned(shown, base.orientation)))

    def _further(self, index: int, parent: int) -> Image.Image:
        """Return a picture made from another one."""
        source, each = self.picture(parent), self.plans[index]
        return picture.resized(source, within(each.box, self.size, source.size), each.size)
