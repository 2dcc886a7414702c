"""The pictures that the benchmarks of whole commands work on, as cameras, phones and web pages write them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path

from PIL import Image, ImageChops

# Megapixels of cameras and phones, in the mix of an ordinary folder: old phones, current phones, cameras.
MEGAPIXELS = (2, 3, 5, 8, 8, 12, 12, 12, 13, 13)
# As cameras write: quality, subsampling and Huffman tables of the standard (baseline, not optimized).
CAMERA = {"quality": 92, "subsampling": "4:2:0"}
WEB = {"quality": 85, "subsampling": "4:2:0"}
NOISE = 3  # standard deviation of a sensor's noise in levels: resized photographs alone are too smooth
ORIENTATION = 0x0112  # Exif tag
ORIENTATIONS = (1, 1, 6)  # a third of the photographs of a phone are upright
DISTINCT = 30


def photographs(found: Sequence[Path], folder: Path, count: int, given: bool) -> list[Path]:
    """Write `count` photographs into a new folder; return their paths.

    Where the user named a folder (`given`), its files are copied in turn. Otherwise baseline JPEGs of 2 to 13
    megapixels are made from the files found: resized, with noise, a camera's quality and Exif.
    """
    folder.mkdir()
    distinct = [path.read_bytes() for path in found] if given else list(islice(_as_camera(found), DISTINCT))
    return _copies(distinct, folder, count)


def small(found: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Write `count` JPEGs of 640 x 480 pixels into a new folder; return their paths."""
    folder.mkdir()
    distinct = [_saved(_opened(path).resize((640, 480), Image.Resampling.LANCZOS), WEB) for path in found]
    return _copies(distinct, folder, count)


def _as_camera(found: Sequence[Path]) -> Iterator[bytes]:
    for path, megapixels, orientation in zip(cycle(found), cycle(MEGAPIXELS), cycle(ORIENTATIONS), strict=False):
        image = _opened(path)
        factor = (megapixels * 1_000_000 / (image.width * image.height)) ** 0.5
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)
        noise = Image.merge("RGB", [Image.effect_noise(image.size, NOISE)] * 3)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        yield _saved(ImageChops.add(image, noise, offset=-128), {**CAMERA, "exif": exif})


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _saved(image: Image.Image, options: dict[str, object]) -> bytes:
    file = BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def _copies(distinct: Sequence[bytes], folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for path, data in zip(paths, cycle(distinct), strict=False):
        path.write_bytes(data)
    return paths


def emptied(folder: Path) -> Path:
    """Return a folder that does not exist: what a run before wrote is deleted."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder
