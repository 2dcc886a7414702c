"""What is done to a picture between decoding and encoding."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from thumbsmith.formats.pillow import Image, ImageFilter
from thumbsmith.formats.resampling import lanczos
from thumbsmith.formats.thumbhash import thumbhash
from thumbsmith.geometry import GAP, Box, Size

# EXIF orientation -> the turn that makes the stored picture the one seen (Exif 3.0, 4.6.5.1, tag 274).
TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

PREMULTIPLIED: Final = {"RGBA": "RGBa", "LA": "La"}

# Standard deviation in pixels of what a pixel is set off from: Lanczos leaves details of about one pixel soft.
MASK: Final = 0.7


def resized(image: Image.Image, box: Box, size: Size) -> Image.Image:
    """Return the part of the picture in `box`, which may be fractional, at `size`, by Lanczos.

    Colours are weighted by their alpha, so that nothing shines through from under transparent pixels. A box that
    reaches over an edge by a rounding error is pulled in.
    """
    left, top, right, bottom = box
    within = (max(left, 0.0), max(top, 0.0), min(right, image.width), min(bottom, image.height))
    if image.mode not in PREMULTIPLIED:
        return lanczos(image, size, within, GAP)
    premultiplied = image.convert(PREMULTIPLIED[image.mode])
    # Without averaging first: edges of alpha are harder than any in a photograph, and would be 14 levels off.
    return lanczos(premultiplied, size, within).convert(image.mode)


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Return the picture as seen, from the picture as stored with this EXIF orientation."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def without_idle_alpha(image: Image.Image) -> Image.Image:
    """Return an RGBA picture that is opaque everywhere as RGB; any other as it is."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return image


def sharpened(image: Image.Image, strength: float) -> Image.Image:
    """Return the picture with what sets each pixel off from those around it made stronger; opacity stays as it is.

    An unsharp mask: `strength` times the difference to a Gaussian mean of 0.7 pixels, weighted by alpha, is added.
    """
    if not strength:
        return image
    premultiplied = image.convert(PREMULTIPLIED.get(image.mode, image.mode))
    around = premultiplied.filter(ImageFilter.GaussianBlur(MASK)).convert(image.mode)
    made = Image.blend(around, image, 1 + strength)
    if image.mode == "RGBA":
        made.putalpha(image.getchannel("A"))
    return made


def padded(image: Image.Image, canvas: Size, offset: tuple[int, int], background: str) -> Image.Image:
    """Return the picture on a larger opaque canvas; where it is transparent itself it stays so."""
    if image.size == canvas:
        return image
    board = Image.new(image.mode, canvas, background)
    board.paste(image, offset)
    return board


def flattened(image: Image.Image, background: str) -> Image.Image:
    """Return the picture without alpha, laid on a colour."""
    if image.mode != "RGBA":
        return image
    board = Image.new("RGB", image.size, background)
    board.paste(image, mask=image.getchannel("A"))
    return board


def hashed(image: Image.Image) -> str:
    """Return the ThumbHash, base64, of a picture of at most 32 pixels a side.

    Half of them say as much: on 10 photographs the placeholder is as far from the picture with 16 pixels as with 100.
    """
    half = (-(-image.width // 2), -(-image.height // 2))
    small = image.resize(half, Image.Resampling.BOX).convert("RGBA")  # `reduce` would count a last odd row twice
    return b64encode(thumbhash(*small.size, small.tobytes())).decode()


def average(image: Image.Image) -> str:
    """Return the mean colour, weighted by alpha, as #rrggbb."""
    dot = image.resize((1, 1), Image.Resampling.BOX).convert("RGB")
    return f"#{dot.tobytes().hex()}"
