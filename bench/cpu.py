"""CPU time of rendering, as a multiple of the least work with the JPEG: libjpeg-turbo's decode at 1/8.

    python bench/cpu.py [FOLDER]

Both run in turn in this process; medians of 15. FOLDER as in quality.py. Only baseline JPEGs of at least 8 megapixels
are measured.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from statistics import geometric_mean, median

from PIL import Image

from folder import photos
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Recipe, Variant

ROUNDS = 15
SETS = {"256": (256,), "64+256+1024": (64, 256, 1024)}


def main() -> None:
    """Print a table with a row for each photograph."""
    print(f"{'photo':36}{'1/8 ms':>9}" + "".join(f"{name:>14}" for name in SETS))
    ratios = []
    for path in photos(sys.argv):
        data = path.read_bytes()
        if counts(data):
            floor, *ours = measured(data)
            ratios.append([each / floor for each in ours])
            print(
                f"{path.name[:36]:36}{floor * 1000:9.1f}" + "".join(f"{each:14.2f}" for each in ratios[-1]), flush=True
            )
    for name, summary in (("geometric mean", geometric_mean), ("worst", max)):
        print(f"{name:45}" + "".join(f"{summary(column):14.2f}" for column in zip(*ratios, strict=True)))


def counts(data: bytes) -> bool:
    """Return whether a photograph is a baseline JPEG of at least 8 megapixels."""
    image = Image.open(BytesIO(data))
    return "progressive" not in image.info and image.width * image.height >= 8_000_000


def measured(data: bytes) -> list[float]:
    """Return the median CPU seconds of the floor and of each set, taken in turn."""
    runs = [partial(eighth, data), *(partial(render, data, recipe_of(sides)) for sides in SETS.values())]
    times = [[cpu_seconds(run) for run in runs] for _ in range(ROUNDS + 1)][1:]
    return [median(column) for column in zip(*times, strict=True)]


def recipe_of(sides: tuple[int, ...]) -> Recipe:
    """Return a recipe for JPEG renditions within these boxes."""
    return Recipe(
        variants=tuple(Variant(name=f"v{side}", width=side, height=side, formats=(Format.JPEG,)) for side in sides)
    )


def eighth(data: bytes) -> None:
    """Decode a JPEG at an eighth of its size, which every thumbnail needs at least."""
    image = Image.open(BytesIO(data))
    image.draft("RGB", (image.width // 8, image.height // 8))
    image.load()


def cpu_seconds(run: Callable[[], object]) -> float:
    """Return the CPU time, user and system, of a run."""
    start = time.process_time()
    run()
    return time.process_time() - start


if __name__ == "__main__":
    main()
