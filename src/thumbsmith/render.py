"""One source to its renditions: decode once, make each picture from the smallest larger one, write them.

    bytes ── decode ── base ── resize ── to sRGB ── turn ── large ── resize ── small ── ...      each: pad, encode
             (JPEG: at a DCT scale)

Colours and turning come after the first reduction, where few pixels are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from thumbsmith.geometry import Plan, plan
from thumbsmith.keys import rendition_name
from thumbsmith.reader import BytesReader, RangeReader
from thumbsmith.recipe.values import Format, Metadata, Recipe, Variant
from thumbsmith.rendition import Rendition

if TYPE_CHECKING:
    from thumbsmith.probe.types import Probe

# Mean colour and ThumbHash are taken from a picture of this size, the same whatever else is made.
THUMBNAIL: Final = Variant(name="", width=32, height=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What was made of a source. `color` is its mean colour, #rrggbb, and `thumbhash` its ThumbHash, base64.

    Both are empty where no picture was asked for.
    """

    renditions: tuple[Rendition, ...]
    color: str = ""
    thumbhash: str = ""


def render(data: bytes | RangeReader, recipe: Recipe) -> tuple[Rendition, ...]:
    """Return all renditions of a source, in the recipe's order. In this process: limits, but no isolation.

    Raises Rejected where the source never gives a thumbnail, MissingDecoder, and what the reader raises.
    """
    from thumbsmith import limits, memory  # noqa: PLC0415 - a shell that leaves pictures to workers needs none of it
    from thumbsmith.probe import probe as look  # noqa: PLC0415 - as above

    reader = BytesReader(data) if isinstance(data, bytes) else data
    limits.judge_bytes(reader.size, recipe.limits)
    probe = look(reader)
    limits.judge(probe, recipe.limits)
    memory.judge_memory(probe, recipe)
    return render_source(reader, probe, recipe, None).renditions


def render_source(reader: RangeReader, probe: Probe, recipe: Recipe, wanted: frozenset[str] | None) -> Rendered:
    """Return the renditions whose names (`small.webp`) are `wanted`, all for None, of a source that was judged before.

    A rendition's bytes do not depend on which others are wanted. Raises as `render` does.
    """
    outputs = _outputs(probe, recipe, wanted)
    if wanted is not None and not outputs:
        return Rendered(renditions=())
    from thumbsmith.formats import cascade, credit, decoding, encoding, focus, own, picture  # noqa: PLC0415 - Pillow is slow to load

    variants = recipe.pictures
    plans = [plan(probe.size, variant) for variant in (*variants, THUMBNAIL)]
    base = decoding.decode(reader, probe, min(each.reduction for each in plans))
    variants = focus.focused(variants, base, probe.size)
    plans = [plan(probe.size, variant) for variant in (*variants, THUMBNAIL)]
    pictures = cascade.Cascade(base, probe.size, plans)
    credited = any(each.metadata is Metadata.COPYRIGHT for each in variants)
    whose = credit.credit(reader, probe) if credited else credit.NOBODY
    renditions = []
    for index, kind in outputs:
        made = encoding.rendition(pictures.picture(index), plans[index], variants[index], kind, whose)
        unsigned = whose == credit.NOBODY or variants[index].metadata is Metadata.STRIP
        if kind == probe.format and unsigned and _shows_source(plans[index], variants[index], probe):
            made = own.never_larger(made, reader, probe, base)
        renditions.append(made)
    tiny = pictures.picture(len(variants))
    return Rendered(renditions=tuple(renditions), color=picture.average(tiny), thumbhash=picture.hashed(tiny))


def _shows_source(made: Plan, variant: Variant, probe: Probe) -> bool:
    """Return whether a variant's picture is the source's, pixel for pixel."""
    whole = (0, 0, *probe.size)
    return made.size == made.canvas == probe.size and made.box == whole and not variant.sharpen


def _outputs(probe: Probe, recipe: Recipe, wanted: frozenset[str] | None) -> list[tuple[int, Format]]:
    """Return what is to be written: the place of a variant in the recipe, and a format."""
    return [
        (index, kind)
        for index, variant in enumerate(recipe.pictures)
        for kind in variant.outputs(probe.format, alpha=probe.alpha)
        if wanted is None or rendition_name(variant.name, kind, variant.density) in wanted
    ]
