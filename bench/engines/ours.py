"""Thumbsmith, in this process."""

from __future__ import annotations

from line import serve

from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Quality, Recipe, Variant


def make(data: bytes, sides: list[int], kind: str, quality: int) -> list[bytes]:
    """Return a rendition for each box."""
    form, level = Format(kind), Quality(jpeg=quality, webp=quality, avif=quality)
    variants = tuple(
        Variant(name=f"v{side}", width=side, height=side, formats=(form,), quality=level) for side in sides
    )
    return [each.data for each in render(data, Recipe(variants=variants))]


serve(make)
