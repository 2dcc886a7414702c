"""JPEGs of every kind that the native decoder handles, made here."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from random import Random

import numpy as np
from PIL import Image

from tests.image.pictures import saved, textured
from tests.native.encoder import Kind, encode

SIZES = ((1, 1), (8, 8), (9, 17), (33, 31), (40, 64), (121, 95))
RESTARTS: tuple[dict[str, int], ...] = (
    {},
    {"restart_marker_blocks": 1},
    {"restart_marker_blocks": 7},
    {"restart_marker_rows": 1},
)

# Sampling factors of the components, of all kinds whose samples libjpeg decodes as 1 or 2 x 2 for each block.
SAMPLINGS = (
    *([(1, 1)], [(2, 2)], [(4, 1)]),
    *([(1, 1)] * 3, [(2, 1)] * 3, [(1, 2)] * 3),
    *([first, (1, 1), (1, 1)] for first in ((2, 1), (1, 2), (2, 2), (4, 1), (1, 4), (3, 1), (4, 2), (2, 4))),
    *([(2, 2), (2, 1), (1, 2)], [(1, 1), (2, 2), (2, 2)], [(2, 2), (1, 1), (2, 2)], [(2, 2), (1, 2), (1, 1)]),
    *([(4, 1), (2, 1), (1, 1)], [(3, 1), (3, 1), (1, 1)], [(3, 2), (1, 2), (1, 1)]),
    *([(1, 1)] * 4, [(2, 2), (1, 1), (1, 1), (2, 2)], [(2, 1), (1, 1), (1, 1), (2, 1)]),
)


@cache
def noisy(width: int, height: int, mode: str) -> Image.Image:
    """Return a picture with structure and noise."""
    image = np.asarray(textured(width, height).convert("RGB")).astype(int)
    noise = np.random.default_rng(width * height).integers(-40, 40, image.shape)
    return Image.fromarray((image + noise).clip(0, 255).astype(np.uint8)).convert(mode)


def samples() -> Iterator[tuple[str, bytes]]:
    """Yield names and files of Pillow: samplings, sizes, restarts, qualities, tables, and numbers of components."""
    for sampling, (width, height), restart in product(("4:4:4", "4:2:2", "4:2:0"), SIZES, RESTARTS):
        for quality, optimize in ((20, False), (75, True), (97, False)):
            options = {"subsampling": sampling, "quality": quality, "optimize": optimize, **restart}
            name = f"{sampling} {width}x{height} {restart} {quality} {optimize}"
            yield name, saved(noisy(width, height, "RGB"), "JPEG", **options)
    for mode, (width, height), restart in product(("L", "CMYK"), SIZES, RESTARTS):
        yield f"{mode} {width}x{height} {restart}", saved(noisy(width, height, mode), "JPEG", quality=80, **restart)
    for quality in (1, 5, 50, 90, 100):
        yield f"quality {quality}", saved(noisy(200, 150, "RGB"), "JPEG", quality=quality)
    for side in range(1, 41):
        yield f"side {side}", saved(noisy(side, 41 - side, "RGB"), "JPEG")


def odd_samples(count: int, seed: int = 1, size: tuple[int, int] | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield names and files of random coefficients: any sampling, tables, identifiers, restarts; DC scans as well.

    Without a `size` each has another one.
    """
    chance = Random(seed)
    for number in range(count):
        sampling = SAMPLINGS[number % len(SAMPLINGS)]
        kind = Kind(
            sampling=sampling,
            size=size or (chance.randint(1, 140), chance.randint(1, 140)),
            identifiers=chance.choice(((1, 2, 3, 4), (0, 1, 2, 3), (82, 71, 66, 75))),
            restart_interval=chance.choice((0, 0, 1, 2, 5, 300)),
            adobe_transform=chance.choice((None, None, 0, 2 if len(sampling) == 4 else 1)),
            jfif=chance.random() < 0.3,
            detail=chance.choice((0, 0.02, 0.1, 0.5, 1)),
            progressive_shift=chance.choice((None,) * 5 + (0, 1)),
            one_table=chance.random() < 0.2,
        )
        yield f"{number} {kind}", encode(kind, number)
