"""libvips by pyvips, one thread: the largest from the file, with shrink on load, the others from the next larger."""

from __future__ import annotations

import os

os.environ["VIPS_CONCURRENCY"] = "1"

import pyvips
from line import serve

SAVERS = {"jpeg": ".jpg", "webp": ".webp", "png": ".png"}

pyvips.cache_set_max(0)


def make(data: bytes, sides: list[int], kind: str, quality: int) -> list[bytes]:
    """Return a thumbnail for each box."""
    image, made = None, {}
    for side in sorted(sides, reverse=True):
        options = {"height": side, "size": "down", "export_profile": "srgb"}
        if image is None:
            image = pyvips.Image.thumbnail_buffer(data, side, **options).copy_memory()
        else:
            image = image.thumbnail_image(side, **options).copy_memory()
        made[side] = image.write_to_buffer(SAVERS[kind], Q=quality, keep="none")
    return [made[side] for side in sides]


serve(make)
