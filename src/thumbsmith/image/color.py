"""Any colours to sRGB.

The many ways of storing pixels, made few: after this a picture can be averaged, and no range is clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

from thumbsmith.image import profiles
from thumbsmith.image.pillow import Image, ImageChops

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform


# The mode of a picture -> the colour space that its profile must be for. A profile for another space is a mistake.
SPACES: Final = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}


# More than this share of a picture's pixels, looked for in a sample of this size, is more than a few. In a picture of
# wider colours far fewer are found than are cut off: averaged, most of them are back within sRGB. Of a photograph in
# Display P3 whose greens reach beyond sRGB 0.9 % are found at 256 px, where it has SSIM 0.987 for it.
CUT_OFF: Final = 0.04
CUT_OFF_WIDE: Final = 0.004
SAMPLE: Final = (96, 96)

# Level of a channel -> 255 where it is at an end, or far from one.
AT_BOTTOM: Final = [255] + [0] * 255
OFF_BOTTOM: Final = [0] * 49 + [255] * 207
AT_TOP: Final = AT_BOTTOM[::-1]
OFF_TOP: Final = OFF_BOTTOM[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Colors:
    """What the numbers of a picture mean.

    `to_srgb` is how they become sRGB, None where they are that already, or nothing better is known; `profile` the ICC
    profile that the picture can be kept with as it is, of an RGB picture in another space than sRGB; `note` a sentence
    about a profile that was of no use.
    """

    to_srgb: ImageCmsTransform | None = None
    profile: bytes | None = None
    note: str | None = None


def interpret_color(profile: bytes | None, mode: str) -> Colors:
    """Return what a picture of this mode means, with the ICC profile that its source holds.

    A profile that is broken, or for other pictures, counts as none, and CMYK without one as offset printing.
    """
    if profile is None or profiles.is_srgb(profile):
        return _unsaid(mode)
    grey = mode == "LA"
    transform = _transform(profile, "L" if grey else mode, "RGBA" if mode == "RGBA" else "RGB")
    if transform is None:
        return _unsaid(mode, _complaint(profile, mode))
    return Colors(to_srgb=transform, profile=profile if mode in ("RGB", "RGBA") else None)


def _unsaid(mode: str, note: str | None = None) -> Colors:
    return Colors(to_srgb=_transform(profiles.cmyk_profile(), "CMYK", "RGB") if mode == "CMYK" else None, note=note)


def _complaint(profile: bytes, mode: str) -> str:
    """Return what is wrong with a profile that gives no conversion."""
    space = profiles.color_space(profile)
    if space and space.isprintable() and space != SPACES.get("L" if mode == "LA" else mode):
        return f"the color profile is for {space}, which the picture is not in, and was ignored"
    return "the color profile is broken, and was ignored"


def convert_colors(image: Image.Image, transform: ImageCmsTransform | None) -> Image.Image:
    """Return the picture in sRGB, as RGB or RGBA; unchanged if there is no conversion."""
    if transform is None:
        return image
    if image.mode == "LA":
        colors = transform.apply(image.getchannel("L"))
        colors.putalpha(image.getchannel("A"))
        return colors
    return transform.apply(image)


def is_clipped(image: Image.Image, to_srgb: ImageCmsTransform | None) -> bool:
    """Return whether colours of a picture reach beyond what sRGB holds in more than a few places.

    A JPEG decoder, and a conversion to sRGB, cut off what cannot be held. A picture decoded small is averaged before
    that, one decoded in full after it. Of 20 photographs two look different by it at 256 px (SSIM 0.985, where all
    others have 0.997 and more); both have a channel at 0 beside another above 48 in 6 % or more of their pixels.
    """
    sample = image.resize(SAMPLE, Image.Resampling.NEAREST)
    seen = convert_colors(sample, to_srgb)
    if seen.mode != "RGB":
        return False
    red, green, blue = seen.split()
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    low = ImageChops.darker(least.point(AT_BOTTOM), most.point(OFF_BOTTOM))
    high = ImageChops.darker(most.point(AT_TOP), least.point(OFF_TOP))
    few = CUT_OFF_WIDE if to_srgb else CUT_OFF
    return ImageChops.lighter(low, high).histogram()[255] > few * SAMPLE[0] * SAMPLE[1]


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture as RGB or RGBA, without metadata: Lab by its definition."""
    made = image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    made.info = {}
    return made


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str, output: str) -> ImageCmsTransform | None:
    """Return the conversion to sRGB, None where there is none. Kept: a camera's photos share a profile.

    Relative colorimetric with black point compensation: what sRGB holds stays, white is white, and black black.
    """
    from thumbsmith.image.pillow import ImageCms  # noqa: PLC0415 - loads littleCMS, which few pictures need

    if profiles.color_space(profile) != SPACES.get(mode):
        return None
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.ImageCmsTransform(source, srgb, mode, output, intent, flags=flags)
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None


# Modes that Pillow resizes and littleCMS converts; all others become one of them.
PLAIN: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "LAB"})


def normalize_mode(image: Image.Image, depth: int) -> Image.Image:
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
