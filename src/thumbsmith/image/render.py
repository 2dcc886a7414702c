"""One source to its renditions: decode once, make each picture from the smallest larger one, write them.

    bytes ── decode ── base ── resize ── to sRGB ── turn ── large ── resize ── small ── ...      each: pad, encode
             (JPEG: at a DCT scale)

Colours and turning come after the first reduction, where few pixels are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from thumbsmith.environment import ISOLATION, isolation_required
from thumbsmith.errors import NotIsolated
from thumbsmith.image.geometry import Layout, moves, plan
from thumbsmith.reader import BytesReader, RangeReader
from thumbsmith.recipe.model import Color, Format, Recipe, Variant
from thumbsmith.recipe.names import Rendition, rendition_name

if TYPE_CHECKING:
    from thumbsmith.image.containers.base import Probe


# Mean colour and ThumbHash are taken from a picture of this size, the same whatever else is made.
THUMBNAIL: Final = Variant(name="", width=32, height=32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What was made of a source. `color` is its mean colour, #rrggbb, and `thumbhash` its ThumbHash, base64.

    Both are empty where no picture was asked for. `notes` are sentences on what was ignored in it.
    """

    renditions: tuple[Rendition, ...]
    color: str = ""
    thumbhash: str = ""
    notes: tuple[str, ...] = ()


def render(data: bytes | RangeReader, recipe: Recipe) -> tuple[Rendition, ...]:
    """Return all renditions of a source, in the recipe's order. In this process: limits, but no isolation.

    Raises Rejected where the source never gives a thumbnail, MissingDecoder, and what the reader raises; NotIsolated
    where THUMBSMITH_ISOLATION is `required`.
    """
    if isolation_required():
        raise NotIsolated(f"{ISOLATION}=required, and render works in the calling process: use Workers or converge")
    from thumbsmith.image import geometry, limits  # noqa: PLC0415 - a shell that leaves pictures to workers needs none of it
    from thumbsmith.image.probe import probe as look  # noqa: PLC0415 - as above

    reader = BytesReader(data) if isinstance(data, bytes) else data
    limits.judge_bytes(reader.size, recipe.limits)
    probe = look(reader, geometry.eighth_serves(recipe))
    limits.judge(probe, recipe.limits, frames=geometry.frames(probe, recipe))
    limits.judge_memory(probe, recipe)
    return render_source(reader, probe, recipe, None).renditions


def render_source(reader: RangeReader, probe: Probe, recipe: Recipe, wanted: frozenset[str] | None) -> Rendered:
    """Return the renditions whose names (`small.webp`) are `wanted`, all for None, of a source that was judged before.

    A rendition's bytes do not depend on which others are wanted. Raises as `render` does.
    """
    outputs = _outputs(probe, recipe, wanted)
    if wanted is not None and not outputs:
        return Rendered(renditions=())
    from thumbsmith.image import credit, decode, frames, transform, write  # noqa: PLC0415 - Pillow is slow to load
    from thumbsmith.image.cascade import Pictures  # noqa: PLC0415 - as above
    from thumbsmith.image.saliency import focused  # noqa: PLC0415 - as above
    from thumbsmith.image.write import Source, is_credited, stills  # noqa: PLC0415 - as above

    base = decode.decode(reader, probe, min(plan(probe.size, each).reduction for each in (*recipe.pictures, THUMBNAIL)))
    variants = focused(recipe.pictures, base, probe.size)
    layout = Layout.of(probe.size, (*variants, THUMBNAIL))
    pictures = Pictures.of(base, layout)
    tiny = pictures.picture(len(variants), Color.SRGB)
    whose = credit.credit(reader, probe) if is_credited(variants) else credit.NOBODY
    source = Source(reader=reader, probe=probe, base=base, whose=whose)
    still: list[tuple[int, Format]] = []
    moving: list[tuple[int, Format]] = []
    for index, kind in outputs:
        (moving if moves(probe, variants[index], kind) else still).append((index, kind))
    made = stills(source, pictures, layout.plans, variants, still)
    notes = (base.note,) if base.note else ()
    del base, source, pictures  # the frames of an animation take as much again
    if moving:
        made |= write.films(frames.frames(reader, probe), layout, variants, moving, whose)
    return Rendered(
        renditions=tuple(made[output] for output in outputs),
        color=transform.average(tiny),
        thumbhash=transform.hashed(tiny),
        notes=notes,
    )


def _outputs(probe: Probe, recipe: Recipe, wanted: frozenset[str] | None) -> list[tuple[int, Format]]:
    """Return what is to be written: the place of a variant in the recipe, and a format."""
    return [
        (index, kind)
        for index, variant in enumerate(recipe.pictures)
        for kind in variant.outputs(probe.format, alpha=probe.alpha)
        if wanted is None or rendition_name(variant.name, kind, variant.density) in wanted
    ]
