"""`render`: the renditions of one source, made in the calling process.

This module loads no image library: programs that leave decoding to workers import it too.
"""

from __future__ import annotations

from thumbsmith.environment import Setting, isolation_required
from thumbsmith.errors import NotIsolated
from thumbsmith.reader import BytesReader, RangeReader
from thumbsmith.recipe.names import Rendition
from thumbsmith.recipe.recipe import Recipe


def render(data: bytes | RangeReader, recipe: Recipe) -> tuple[Rendition, ...]:
    """Return all renditions of a source, in the order of the recipe.

    It runs in the calling process: limits apply, but there is no isolation. The steps are in `image/pipeline.py`.

    Raises Rejected if the source can never give a thumbnail, MissingDecoder, what the reader raises, and NotIsolated
    if THUMBSMITH_ISOLATION is `required`.
    """
    if isolation_required():
        raise NotIsolated(
            f"{Setting.ISOLATION}=required, and render works in the calling process: use Workers or converge"
        )
    from thumbsmith.image.pipeline import Job, check_source, make_renditions  # noqa: PLC0415 - loads Pillow and libvips

    reader = BytesReader(data) if isinstance(data, bytes) else data
    return make_renditions(check_source(Job(reader=reader, recipe=recipe))).renditions
