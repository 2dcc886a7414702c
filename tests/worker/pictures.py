"""Sources for workers."""

import io
import random
from functools import cache

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from thumbsmith.recipe import Format, Limits, Recipe, Variant

SMALL = Recipe(variants=(Variant(name="small", width=40, height=40, formats=(Format.JPEG,)),))


@cache
def noise(width: int = 700, height: int = 500, kind: str = "jpeg", seed: int = 1) -> bytes:
    """Return a picture that hardly compresses: larger than the head that a child receives with its job."""
    pixels = random.Random(seed).randbytes(width * height * 3)
    stream = io.BytesIO()
    Image.frombytes("RGB", (width, height), pixels).save(stream, kind, **({"quality": 95} if kind == "jpeg" else {}))
    return stream.getvalue()


def slow(seconds: int) -> Recipe:
    """Return a recipe that takes far longer than the CPU time that it allows: several large AVIFs."""
    variants = tuple(
        Variant(name=f"v{width}", width=width, enlarge=True, formats=(Format.AVIF,)) for width in range(3000, 3010)
    )
    return Recipe(variants=variants, limits=Limits(max_cpu_seconds=seconds, max_memory=4 << 30))


@cache
def padded(width: int, height: int) -> bytes:
    """Return a PNG of one color whose pixels begin in the head of the source, after a comment, and end behind it."""
    comment = PngInfo()
    comment.add(b"noTe", random.Random(1).randbytes(100_000))
    stream = io.BytesIO()
    Image.new("RGB", (width, height), "#336699").save(stream, "png", pnginfo=comment)
    return stream.getvalue()
