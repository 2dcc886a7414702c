"""How often a square crop keeps the subject: gravity "auto", the center, libvips and smartcrop.py.

    make .venv/peers && python bench/gravity.py

Measured on the labeled pictures of subjects.py. The peers run in another environment (peers.py), and are left out if it
is missing.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image

from subjects import Box, Labelled, pictures
from thumbsmith.image import pillow
from thumbsmith.image.decode import DecodedImage
from thumbsmith.image.geometry import Layout, plan
from thumbsmith.image.picture import Cascade
from thumbsmith.image.saliency import OVERVIEW, with_focal_points
from thumbsmith.recipe import Fit, Variant
from thumbsmith.recipe.model import AUTO, CENTER, Gravity

PEERS = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
KINDS = ("whole", "framed", "pasted")


def main() -> None:
    """Print a table with a row for each method."""
    labelled = list(pictures())
    counts = Counter(each.kind for each in labelled)
    print(f"{'subject kept, of':20}{len(labelled):10}" + "".join(f"{kind:>9} {counts[kind]:2}" for kind in KINDS))
    crops = {"center": [ours(each.image, CENTER) for each in labelled]}
    start = time.process_time()
    crops["auto"] = [ours(each.image, AUTO) for each in labelled]
    seconds = (time.process_time() - start) / len(labelled)
    for method, found in {**crops, **peers(labelled)}.items():
        kept = Counter(each.kind for each, crop in zip(labelled, found, strict=True) if each.survives(crop))
        total = kept.total()
        print(f"{method:20}{total:4} {total / len(labelled):5.1%}" + "".join(f"{kept[kind]:12}" for kind in KINDS))
    print(f"auto takes {seconds * 1000:.1f} ms of CPU a picture of at most 960 px")


def ours(image: Image.Image, gravity: Gravity) -> Box:
    """Return the square that a variant with this gravity shows."""
    side = min(image.size)
    variant = Variant(name="v", width=side, height=side, fit=Fit.COVER, gravity=gravity)
    copy = pillow.Image.frombytes(image.mode, image.size, image.tobytes())
    base = DecodedImage(image=copy, shrink=(1, 1), orientation=1, to_srgb=None)
    overview = Cascade(base, Layout.of(image.size, [OVERVIEW])).picture(0)
    (variant,) = with_focal_points((variant,), overview, image.size)
    return plan(image.size, variant).box


def peers(labelled: list[Labelled]) -> dict[str, list[Box]]:
    """Return the crops of the other methods, if they are installed."""
    if not PEERS.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.png") for number in range(len(labelled))]
        for path, each in zip(paths, labelled, strict=True):
            each.image.save(path, compress_level=1)
        command = [str(PEERS), str(Path(__file__).with_name("peers.py"))]
        done = subprocess.run(command, input="\n".join(map(str, paths)), capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {method: [tuple(each[method]) for each in found] for method in found[0]}


if __name__ == "__main__":
    main()
