"""Plain Pillow over a folder in two processes: pool.py SOURCE TARGET '[{"name", "side", "fit", "format"}]'."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from PIL import Image, ImageOps


def make(source: Path, target: Path, variants: list[dict[str, str]]) -> None:
    """Write a thumbnail for each variant, as the tutorials of Pillow do it."""
    with Image.open(source) as image:
        image.draft("RGB", (max(each["side"] for each in variants),) * 2)
        photo = ImageOps.exif_transpose(image).convert("RGB")
    for each in variants:
        side = each["side"]
        if each["fit"] == "cover":
            thumbnail = ImageOps.fit(photo, (side, side))
        else:
            thumbnail = photo.copy()
            thumbnail.thumbnail((side, side))
        thumbnail.save(target / f"{source.name}.{each['name']}.{each['format']}", quality=80)


def main() -> None:
    """Make the thumbnails of all files."""
    source, target, variants = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    target.mkdir(parents=True, exist_ok=True)
    files = list(source.iterdir())
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(make, files, [target] * len(files), [variants] * len(files), chunksize=8))


if __name__ == "__main__":
    main()
