"""Lanczos, by libvips where it pays: its vector code takes a quarter of the time of Pillow's scalar one.

Measured on 1920 x 1080 pixels made 1024 x 576: 11 ms, of which 3 are copies from and to Pillow, against 37. The same
bytes come from every vector unit, and from none (tried with AVX-512, AVX2, SSE4 and without).
"""

from __future__ import annotations

from typing import Final

from PIL import Image

from thumbsmith.formats import vips
from thumbsmith.geometry import Box, Size
from thumbsmith.memory import COPIED

# Below so many pixels handing a picture over costs more than it saves.
FEWEST: Final = 1 << 16

# It knows no kernel wider than some 300 pixels; where whole pixels are averaged first there is no need of a wide one.
MOST: Final = 8

# Modes whose pixels libvips gets. It knows 64 places between two pixels, which is up to 8 levels off at an edge as hard
# as those of alpha are; of photographs SSIM to exact Lanczos is 0.998.
MODES: Final = frozenset({"L", "RGB"})


def lanczos(image: Image.Image, size: Size, box: Box, gap: float | None = None) -> Image.Image:
    """Return the part of a picture in `box`, which may be fractional, at `size`, by Lanczos.

    Where more than `gap` pixels go into one, whole pixels are averaged first, to no fewer than that.
    """
    if gap and box == (0, 0, *image.size):
        across, down = (max(1, int(held / side / gap)) for held, side in zip(image.size, size, strict=True))
        if across * down > 1:
            box = (0, 0, image.width / across, image.height / down)
            image = image.reduce((across, down))
    if _pays(image, size, box):
        return _by_vips(image, size)
    return image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=gap)


def _pays(image: Image.Image, size: Size, box: Box) -> bool:
    """Return whether libvips can do it, which takes pictures whole and makes nothing larger, and is faster."""
    whole = box == (0, 0, *image.size)
    smaller = size != image.size and all(
        side <= held <= MOST * side for held, side in zip(image.size, size, strict=True)
    )
    return whole and smaller and image.mode in MODES and FEWEST <= image.width * image.height <= COPIED


def _by_vips(image: Image.Image, size: Size) -> Image.Image:
    handed = vips.Picture.of(image.tobytes(), *image.size, len(image.getbands()))
    made = handed.run("reduce", hshrink=image.width / size[0], vshrink=image.height / size[1])
    return Image.frombuffer(image.mode, size, made.pixels(), "raw", image.mode, 0, 1)
