"""Time and memory by megapixels, variants and objects: measured, and drawn for the docs.

    python bench/growth.py [--quick]

Each picture is rendered by a worker process, as in the commands: CPU time and peak memory are those of its child.
Limits are raised as needed. Objects are planned from generated listings, with a manifest cache. bench/curves.py draws
the curves to docs/growth, with matplotlib from the peers' environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from statistics import median

from PIL import Image

from folder import photos
from quality import reference
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format, Limits, Recipe, Variant
from thumbsmith.worker import Work, Workers

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"
ROUNDS = 3
MEGAPIXELS = (1, 2, 5, 10, 25, 50, 100, 200, 500)
VARIANTS = range(1, 13)
SOURCES = (200, 2_000, 20_000, 200_000)  # with five listed objects each, as in plan.py
FILES = {
    "JPEG": ("JPEG", {"quality": 85}),
    "progressive JPEG": ("JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("PNG", {"compress_level": 1}),
}
OPEN = Limits(max_bytes=1 << 32, max_pixels=1 << 30, max_memory=16 << 30, max_cpu_seconds=600)


def main() -> None:
    """Measure, print, and draw."""
    quick = "--quick" in sys.argv
    photo = reference(photos([sys.argv[0]])[0].read_bytes())
    with Workers(1) as workers:
        pixels = by_megapixels(workers, photo, [each for each in MEGAPIXELS if not quick or each <= 50])
        variants = by_variants(workers, photo)
    objects = [planned(count) for count in SOURCES]
    found = {"megapixels": pixels, "variants": variants, "objects": objects}
    print(json.dumps(found))
    subprocess.run(
        [str(PEERS), str(HERE / "curves.py"), str(HERE.parent / "docs" / "growth")],
        input=json.dumps(found),
        text=True,
        check=True,
    )


def by_megapixels(workers: Workers, photo: Image.Image, sizes: list[int]) -> dict[str, list[list[float]]]:
    """Return megapixels, milliseconds and megabytes for each kind of file, for one rendition within 256 pixels."""
    found: dict[str, list[list[float]]] = {name: [] for name in FILES}
    recipe = replace(recipe_of([256]), limits=OPEN)
    for size in sizes:
        factor = (size * 1_000_000 / (photo.width * photo.height)) ** 0.5
        image = photo.resize((round(photo.width * factor), round(photo.height * factor)))
        for name, (kind, options) in FILES.items():
            milliseconds, megabytes = measured(workers, saved(image, kind, options), recipe)
            found[name].append([size, milliseconds, megabytes])
            print(f"{size:4} MP {name:18} {milliseconds:8.0f} ms {megabytes:7.0f} MB", flush=True)
    return found


def by_variants(workers: Workers, photo: Image.Image) -> dict[str, list[list[float]]]:
    """Return number of variants, milliseconds and megabytes, for a photograph of 12 megapixels."""
    data = saved(photo.resize((4243, 2828)), "JPEG", {"quality": 85})
    found: dict[str, list[list[float]]] = {"JPEG": [], "WebP": []}
    for count in VARIANTS:
        sides = [round(64 * (1600 / 64) ** (n / 11)) for n in range(count)]
        for name, rows in found.items():
            rows.append([count, *measured(workers, data, recipe_of(sides, Format(name.lower())))])
            print(f"{count:4} variants {name:8} {rows[-1][1]:8.0f} ms", flush=True)
    return found


def planned(sources: int) -> dict[str, float]:
    """Return time and memory of a warm plan of this number of sources: see plan.py."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "plan.py"), "--one", str(sources), f"{folder}/index.sqlite"]
        for _ in range(2):
            ran = subprocess.run(command, check=True, capture_output=True, text=True)
    print(ran.stdout.strip(), flush=True)
    answer: dict[str, float] = json.loads(ran.stdout)
    return answer


def recipe_of(sides: list[int], kind: Format = Format.JPEG) -> Recipe:
    """Return a recipe with a variant for each side."""
    return Recipe(variants=tuple(Variant(name=f"v{side}", width=side, height=side, formats=(kind,)) for side in sides))


def saved(image: Image.Image, kind: str, options: dict[str, object]) -> bytes:
    """Return the picture as a file."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def measured(workers: Workers, data: bytes, recipe: Recipe) -> tuple[float, float]:
    """Return median milliseconds of CPU time and megabytes of peak memory."""
    work: list[Work] = [workers.render(BytesReader(data), recipe) for _ in range(ROUNDS)]
    return 1000 * median(each.cpu_seconds for each in work), median(each.peak_memory for each in work) / (1 << 20)


if __name__ == "__main__":
    main()
