"""Renditions that stand still: a picture on its canvas, written; or the source's own file where that is smaller.

Renditions that move: every frame made as a picture is, then all of them written into one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from thumbsmith.image import encode, passthrough
from thumbsmith.image.cascade import Pictures
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.credit import NOBODY, Credit
from thumbsmith.image.decode import Base
from thumbsmith.image.frames import Frame
from thumbsmith.image.geometry import Layout, Plan, durations
from thumbsmith.image.pillow import Image
from thumbsmith.reader import RangeReader
from thumbsmith.recipe.model import Format, Metadata, Variant
from thumbsmith.recipe.names import Rendition

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
        options = encode.beside(variant, kind, source.whose, pictures.profile(variant.color))
        picture = pictures.picture(index, variant.color)
        made[index, kind] = encode.rendition(picture, plans[index], variant, kind, options)
        if not options and _shows_source(source.probe, plans[index], variant, kind):
            made[index, kind] = passthrough.prefer_original(made[index, kind], source.reader, source.probe, source.base)
    return made


def _shows_source(probe: Probe, made: Plan, variant: Variant, kind: Format) -> bool:
    """Return whether a rendition is the source's picture, pixel for pixel, in its format."""
    whole = (0, 0, *probe.size)
    return kind == probe.format and made.size == made.canvas == probe.size and made.box == whole and not variant.sharpen


def is_credited(variants: Iterable[Variant]) -> bool:
    """Return whether a variant keeps its source's author and copyright notice."""
    return any(each.metadata is Metadata.COPYRIGHT for each in variants)


def films(
    frames: Iterable[Frame],
    layout: Layout,
    variants: Sequence[Variant],
    outputs: Sequence[Output],
    whose: Credit = NOBODY,
) -> dict[Output, Rendition]:
    """Return the moving renditions that are named in `outputs`.

    A file holds its frames whole, so that nothing hangs on how a player lays one over another. `whose` is the source's
    credit.
    """
    reels: dict[Output, list[Image.Image]] = {output: [] for output in outputs}
    shown: list[float] = []
    plays, profiles = 0, {}
    for frame in frames:
        pictures = Pictures.of(frame.base, layout)
        for index, kind in outputs:
            variant = variants[index]
            made = pictures.picture(index, variant.color)
            reels[index, kind].append(encode.finished(made, layout.plans[index], variant, kind))
            profiles[index] = pictures.profile(variant.color)
        shown.append(frame.duration)
        plays = frame.plays
    timing = {"duration": durations(shown), "loop": plays}
    return {
        (index, kind): _film(
            reel, variants[index], kind, {**timing, **encode.beside(variants[index], kind, whose, profiles[index])}
        )
        for (index, kind), reel in reels.items()
    }


def _film(reel: Sequence[Image.Image], variant: Variant, kind: Format, options: dict[str, Any]) -> Rendition:
    """Return the frames as one file. They are in one mode: with alpha where one of them has it."""
    mode = "RGBA" if any(each.mode == "RGBA" for each in reel) else "RGB"
    first, *rest = (each.convert(mode) for each in reel)
    return encode.written(first, variant, kind, {**options, "save_all": True, "append_images": rest})
