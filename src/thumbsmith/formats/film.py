"""Renditions that move: every frame made as a picture is, then all of them written into one file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from thumbsmith.animation import durations
from thumbsmith.formats import encoding
from thumbsmith.formats.cascade import Pictures
from thumbsmith.formats.credit import NOBODY, Credit
from thumbsmith.formats.frames import Frame
from thumbsmith.formats.pillow import Image
from thumbsmith.formats.stills import Output
from thumbsmith.geometry import Layout
from thumbsmith.recipe.values import Format, Variant
from thumbsmith.rendition import Rendition


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
            reels[index, kind].append(encoding.finished(made, layout.plans[index], variant, kind))
            profiles[index] = pictures.profile(variant.color)
        shown.append(frame.duration)
        plays = frame.plays
    timing = {"duration": durations(shown), "loop": plays}
    return {
        (index, kind): _film(
            reel, variants[index], kind, {**timing, **encoding.beside(variants[index], kind, whose, profiles[index])}
        )
        for (index, kind), reel in reels.items()
    }


def _film(reel: Sequence[Image.Image], variant: Variant, kind: Format, options: dict[str, Any]) -> Rendition:
    """Return the frames as one file. They are in one mode: with alpha where one of them has it."""
    mode = "RGBA" if any(each.mode == "RGBA" for each in reel) else "RGB"
    first, *rest = (each.convert(mode) for each in reel)
    return encoding.written(first, variant, kind, {**options, "save_all": True, "append_images": rest})
