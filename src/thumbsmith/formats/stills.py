"""Renditions that stand still: a picture on its canvas, written; or the source's own file where that is smaller."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from thumbsmith.formats import encoding, own
from thumbsmith.formats.cascade import Pictures
from thumbsmith.formats.credit import NOBODY, Credit
from thumbsmith.formats.decoding import Base
from thumbsmith.geometry import Plan
from thumbsmith.probe.types import Probe
from thumbsmith.reader import RangeReader
from thumbsmith.recipe.values import Format, Metadata, Variant
from thumbsmith.rendition import Rendition

# A variant's place in the recipe, and a format.
Output: TypeAlias = tuple[int, Format]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source as it was read: its file, its facts, what was decoded of it, and whose it is."""

    reader: RangeReader
    probe: Probe
    base: Base
    whose: Credit = NOBODY


def stills(
    source: Source, pictures: Pictures, plans: Sequence[Plan], variants: Sequence[Variant], outputs: Iterable[Output]
) -> dict[Output, Rendition]:
    """Return the renditions that are named in `outputs`. Raises what the source's reader raises."""
    made = {}
    for index, kind in outputs:
        variant = variants[index]
        options = encoding.beside(variant, kind, source.whose, pictures.profile(variant.color))
        picture = pictures.picture(index, variant.color)
        made[index, kind] = encoding.rendition(picture, plans[index], variant, kind, options)
        if not options and _shows_source(source.probe, plans[index], variant, kind):
            made[index, kind] = own.never_larger(made[index, kind], source.reader, source.probe, source.base)
    return made


def _shows_source(probe: Probe, made: Plan, variant: Variant, kind: Format) -> bool:
    """Return whether a rendition is the source's picture, pixel for pixel, in its format."""
    whole = (0, 0, *probe.size)
    return kind == probe.format and made.size == made.canvas == probe.size and made.box == whole and not variant.sharpen


def is_credited(variants: Iterable[Variant]) -> bool:
    """Return whether a variant keeps its source's author and copyright notice."""
    return any(each.metadata is Metadata.COPYRIGHT for each in variants)
