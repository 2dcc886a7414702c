"""Plain Pillow, as it is found in most projects: open, thumbnail, save, once a size."""

from __future__ import annotations

from io import BytesIO

from line import serve
from PIL import Image


def make(data: bytes, sides: list[int], kind: str, quality: int) -> list[bytes]:
    """Return a thumbnail for each box."""
    made = []
    for side in sides:
        image = Image.open(BytesIO(data))
        image.thumbnail((side, side))
        file = BytesIO()
        (image if image.mode in ("RGB", "L") else image.convert("RGB")).save(file, kind, quality=quality)
        made.append(file.getvalue())
    return made


serve(make)
