"""The choice of `quality = "auto"`, compared with the default quality and with the best of all qualities.

    python bench/auto.py [FOLDER]

FOLDER as in quality.py. The similarity is the metric of image/encode.py.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from io import BytesIO
from statistics import mean

from folder import photos
from thumbsmith.image.encode import (
    MAX_AUTO_QUALITY,
    MAX_SIMILARITY_ENCODES,
    MIN_AUTO_QUALITY,
    MIN_SIMILARITY,
    Moments,
    encode,
    quality_for_similarity,
    similarity,
)
from thumbsmith.image.pillow import Image
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Quality, Recipe, Variant

SIDES = {256: (Format.JPEG, Format.WEBP, Format.AVIF), 1024: (Format.JPEG, Format.WEBP)}


def main() -> None:
    """Print a table with a row for each format and size."""
    print(f"{'':12}{'default':>22}{'auto':>30}{'best':>10}{'auto/best':>10}{'reached':>9}{'encodes':>9}{'CPU ms':>8}")
    for side, kinds in SIDES.items():
        pictures = [whole(path.read_bytes(), side) for path in photos(sys.argv)]
        for kind in kinds:
            report(f"{kind.value} {side}", [measured(image, kind) for image in pictures])


def report(name: str, rows: list[tuple[float, ...]]) -> None:
    """Print the measurements: mean bytes, and the least and the mean similarity."""
    default, least, chosen, quality, likeness, best, count, seconds = zip(*rows, strict=True)
    reached = sum(each >= MIN_SIMILARITY for each in likeness)
    print(
        f"{name:12}{mean(default):10.0f} ({min(least):.4f}){mean(chosen):10.0f} q {min(quality)}-{max(quality)}"
        f" ({min(likeness):.4f}){mean(best):10.0f}{mean(chosen) / mean(best):10.3f}"
        f"{reached:5}/{len(rows)}{max(count):9}{mean(seconds) * 1000:8.1f}",
        flush=True,
    )


def measured(image: Image.Image, kind: Format) -> tuple[float, ...]:
    """Return bytes and similarity of the default; bytes, quality, similarity of auto; bytes of the best; costs."""
    original = Moments.of(image)

    @cache
    def tried(quality: int) -> tuple[float, int]:
        data = encode(image, kind, Quality(**{kind.value: quality}))
        return similarity(original, Moments.of(Image.open(BytesIO(data)).convert("RGB"))), len(data)

    first = getattr(Quality(), kind.value)
    start = time.process_time()
    chosen = quality_for_similarity(lambda quality: tried(quality)[0], first)
    seconds, count = time.process_time() - start, tried.cache_info().currsize
    assert count <= MAX_SIMILARITY_ENCODES
    best, worst = MIN_AUTO_QUALITY, MAX_AUTO_QUALITY  # likeness grows with quality, near enough: halve the interval
    while best < worst:
        middle = (best + worst) // 2
        best, worst = (best, middle) if tried(middle)[0] >= MIN_SIMILARITY else (middle + 1, worst)
    likeness, size = tried(chosen)
    return (tried(first)[1], tried(first)[0], size, chosen, likeness, tried(best)[1], count, seconds)


def whole(data: bytes, side: int) -> Image.Image:
    """Return the picture within a box of this side, before it is encoded."""
    (made,) = render(data, Recipe(variants=(Variant(name="v", width=side, height=side, formats=(Format.PNG,)),)))
    return Image.open(BytesIO(made.data)).convert("RGB")


if __name__ == "__main__":
    main()
