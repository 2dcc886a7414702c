"""Similarity of renditions to the slow way: full decode, orientation, color conversion, one Lanczos resize.

    python bench/quality.py [FOLDER]

FOLDER contains JPEG photographs; by default $THUMBSMITH_CORPUS/photos, else ../shared/corpus/photos beside the
checkout.
"""

from __future__ import annotations

import sys
from io import BytesIO
from statistics import mean

import numpy as np
from PIL import Image, ImageCms, ImageOps
from skimage.metrics import structural_similarity

from folder import photos
from thumbsmith.image.render import render
from thumbsmith.recipe import Format, Recipe, Variant

SIDES = (256, 1024)


def main() -> None:
    """Print a table with a row for each photograph."""
    print(f"{'photo':36}" + "".join(f"{side:>9}" for side in SIDES))
    table = {path.name: similarities(path.read_bytes()) for path in photos(sys.argv)}
    for name, row in table.items():
        print(f"{name[:36]:36}" + "".join(f"{found:9.4f}" for found in row))
    for name, summary in (("mean", mean), ("worst", min)):
        print(f"{name:36}" + "".join(f"{summary(column):9.4f}" for column in zip(*table.values(), strict=True)))


def similarities(data: bytes) -> list[float]:
    """Return the structural similarity of each rendition to its reference; 1 is equal."""
    variants = tuple(Variant(name=f"v{side}", width=side, height=side, formats=(Format.PNG,)) for side in SIDES)
    whole = reference(data)
    found = []
    for rendition in render(data, Recipe(variants=variants)):
        ours = np.asarray(Image.open(BytesIO(rendition.data)).convert("RGB"))
        expected = np.asarray(whole.resize((rendition.width, rendition.height), Image.Resampling.LANCZOS))
        found.append(float(structural_similarity(ours, expected, channel_axis=2)))
    return found


def reference(data: bytes) -> Image.Image:
    """Return the whole picture, upright and in sRGB."""
    image = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    source, target = ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB")
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    converted = ImageCms.profileToProfile(image, source, target, intent, "RGB", flags=flags)
    assert converted is not None
    return converted


if __name__ == "__main__":
    main()
