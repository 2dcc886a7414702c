"""Thumbsmith, in this process, with the native decoder that its workers have."""

from __future__ import annotations

from line import serve

from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format, Quality, Recipe, Variant


def make(data: bytes, sides: list[int], kind: str, quality: int) -> list[bytes]:
    """Return a rendition for each box."""
    form, level = Format(kind), Quality(jpeg=quality, webp=quality, avif=quality)
    variants = tuple(
        Variant(name=f"v{side}", width=side, height=side, formats=(form,), quality=level) for side in sides
    )
    job = check_source(Job(reader=BytesReader(data), recipe=Recipe(variants=variants), confined=True))
    return [each.data for each in make_renditions(job).renditions]


serve(make)
