"""The many ways of storing pixels, made few: after this a picture can be averaged, and no range is clipped."""

from __future__ import annotations

from typing import Final

from thumbsmith.formats.pillow import Image, ImageChops

# Modes that Pillow resizes and littleCMS converts; all others become one of them.
PLAIN: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "LAB"})


def to_plain(image: Image.Image, depth: int) -> Image.Image:
    """Return the picture as L, LA, RGB, RGBA, CMYK or LAB, 8 bits a channel.

    `depth` is the number of bits a channel that the source stores. Pillow would resize palettes and black-and-white
    pictures by nearest neighbour, and clip deeper grey at 255.
    """
    if image.mode.startswith(("I", "F")):
        return _deep_grey(image, depth)
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        return _with_clear_color(image, depth)
    if image.has_transparency_data and image.mode not in PLAIN - {"L", "RGB"}:
        return image.convert("LA" if image.mode in ("L", "La") else "RGBA")
    if image.mode in PLAIN:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _with_clear_color(image: Image.Image, depth: int) -> Image.Image:
    """Return a picture of which one colour is transparent with alpha.

    Pillow hands out that colour in the source's depth, and the pixels in 8 bits: of RGB in 16 bits, all colours that
    become the same in 8 are transparent.
    """
    stored = image.info["transparency"]
    top = (1 << depth) - 1
    bands = stored if isinstance(stored, tuple) else (stored,)
    color = tuple(band >> 8 if depth == 16 else band * 255 // top for band in bands)
    image.info["transparency"] = color if isinstance(stored, tuple) else color[0]
    return image.convert("LA" if image.mode == "L" else "RGBA")


def _deep_grey(image: Image.Image, depth: int) -> Image.Image:
    """Return grey of more than 8 bits as L, from its full range.

    That is what the depth can hold; for 32 bits, of which scientific pictures use any part, what the picture holds;
    for floating point 0 to 1, unless the picture goes beyond.
    """
    if image.mode not in ("I;16", "I", "F"):
        image = image.convert("I").convert("I;16")
    clear = image.info.get("transparency")
    if image.mode == "I;16" and isinstance(clear, int):
        made = _scaled(image, depth)
        made.putalpha(_elsewhere(image, clear))
        return made
    return _scaled(image, depth)


def _elsewhere(image: Image.Image, level: int) -> Image.Image:
    """Return 0 where a picture of 16 bits has this level, else 255."""
    halves = Image.frombytes("LA", image.size, image.tobytes("raw", "I;16")).split()  # the lower byte comes first
    wanted = (level & 255, level >> 8)
    here = [
        half.point([255 * (each == byte) for each in range(256)]) for half, byte in zip(halves, wanted, strict=True)
    ]
    return ImageChops.invert(ImageChops.darker(*here))


def _scaled(image: Image.Image, depth: int) -> Image.Image:
    """Return a picture of more than 8 bits as L."""
    low, high = 0.0, float((1 << depth) - 1)
    if image.mode == "F" or depth > 16:
        low, high = _extrema(image)
        if image.mode == "F" and low >= 0 and high <= 1:
            low, high = 0.0, 1.0
    factor = 255 / (high - low) if high > low else 0.0
    return image.point(lambda level: level * factor + -low * factor).convert("L")


def _extrema(image: Image.Image) -> tuple[float, float]:
    low, high = image.getextrema()
    if isinstance(low, tuple) or isinstance(high, tuple):  # only of several channels
        raise TypeError("one channel is expected")
    return low, high
