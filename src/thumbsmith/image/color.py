"""Colors of a source to sRGB, and the many modes of stored pixels to a few."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final, Protocol

from thumbsmith.image import profiles
from thumbsmith.image.pillow import Image, ImageChops
from thumbsmith.image.tone_mapping import ToneMapping

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

# Modes that Pillow resizes and littleCMS converts. All others are converted to one of them.
NORMAL_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK", "LAB"})

# Mode of a picture -> the color space that its profile must be for. A profile for another space is a mistake.
SPACES: Final = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}

# A picture counts as clipped above this share of its pixels, measured in a sample of this size. With wider colors, the
# sample shows far fewer pixels than are clipped: averaged, most of them are back within sRGB. Of a photograph in
# Display P3 whose greens reach beyond sRGB, it shows 0.9 % at 256 px, where clipping costs it SSIM 0.987.
MAX_CLIPPED_SHARE: Final = 0.04
MAX_CLIPPED_SHARE_WIDE: Final = 0.004
SAMPLE_SIZE: Final = (96, 96)

# Level of a channel -> 255 if it is at an end of the range, or far from that end.
AT_BOTTOM: Final = [255] + [0] * 255
OFF_BOTTOM: Final = [0] * 49 + [255] * 207
AT_TOP: Final = AT_BOTTOM[::-1]
OFF_TOP: Final = OFF_BOTTOM[::-1]


class ColorConversion(Protocol):
    """A conversion of pictures in L, RGB or RGBA to other colors, with the same alpha."""

    def apply(self, im: Image.Image, /) -> Image.Image:
        """Return the picture in other colors."""


@dataclass(frozen=True, slots=True)
class _MappedConversion:
    """A conversion of high dynamic range: to the range of a display, then to sRGB."""

    tones: ToneMapping
    to_srgb: ColorConversion

    def apply(self, im: Image.Image, /) -> Image.Image:
        return self.to_srgb.apply(self.tones.apply(im))


@dataclass(frozen=True, slots=True, kw_only=True)
class Colors:
    """The color space of a picture.

    `to_srgb` is the conversion to sRGB, None if it is in sRGB or its space is unknown. `profile` is the ICC profile of
    an RGB picture that is not in sRGB: with it, the picture can be stored after `to_own`, which is None if nothing is
    to convert. `note` is a sentence about a profile that was ignored.
    """

    to_srgb: ColorConversion | None = None
    to_own: ColorConversion | None = None
    profile: bytes | None = None
    note: str | None = None


def interpret_color(profile: bytes | None, mode: str) -> Colors:
    """Return the colors of a picture of this mode with this ICC profile.

    A profile that is broken, or for another color space, is ignored. CMYK without a profile counts as offset printing.
    """
    if profile is None or profiles.is_srgb(profile):
        return _without_profile(mode)
    transform = _transform(profile, "L" if mode == "LA" else mode, "RGBA" if mode == "RGBA" else "RGB")
    if transform is None:
        return _without_profile(mode, _complaint(profile, mode))
    return Colors(to_srgb=transform, profile=profile if mode in ("RGB", "RGBA") else None)


def in_high_range(colors: Colors, tones: ToneMapping | None) -> Colors:
    """Return the colors of a picture in high dynamic range that has these colors after tone mapping.

    They are the same if `tones` is None.
    """
    if tones is None:
        return colors
    to_srgb = _MappedConversion(tones, colors.to_srgb) if colors.to_srgb else tones
    return replace(colors, to_srgb=to_srgb, to_own=tones)


def _without_profile(mode: str, note: str | None = None) -> Colors:
    return Colors(to_srgb=_transform(profiles.cmyk_profile(), "CMYK", "RGB") if mode == "CMYK" else None, note=note)


def _complaint(profile: bytes, mode: str) -> str:
    """Return a sentence about a profile that gives no conversion."""
    space = profiles.color_space(profile)
    if space and space.isprintable() and space != SPACES.get("L" if mode == "LA" else mode):
        return f"the color profile is for {space}, which the picture is not in, and was ignored"
    return "the color profile is broken, and was ignored"


def convert_colors(image: Image.Image, transform: ColorConversion | None) -> Image.Image:
    """Return the picture in sRGB, as RGB or RGBA; unchanged if there is no conversion."""
    if transform is None:
        return image
    if image.mode == "LA":
        colors = transform.apply(image.getchannel("L"))
        colors.putalpha(image.getchannel("A"))
        return colors
    return transform.apply(image)


def is_clipped(image: Image.Image, to_srgb: ColorConversion | None) -> bool:
    """Return whether many pixels of a picture have colors beyond sRGB.

    A JPEG decoder and a conversion to sRGB clip such colors. A picture decoded small is averaged before that, one
    decoded at full size after it. Of 20 photographs, two look different for this reason at 256 px (SSIM 0.985; all
    others have 0.997 or more). In both, 6 % or more of the pixels have one channel at 0 and another above 48.
    """
    sample = image.resize(SAMPLE_SIZE, Image.Resampling.NEAREST)
    seen = convert_colors(sample, to_srgb)
    if seen.mode != "RGB":
        return False
    few = (MAX_CLIPPED_SHARE_WIDE if to_srgb else MAX_CLIPPED_SHARE) * SAMPLE_SIZE[0] * SAMPLE_SIZE[1]
    levels = seen.histogram()  # of red, then green, then blue
    if sum(levels[::256]) + sum(levels[255::256]) <= few:
        return False
    red, green, blue = seen.split()
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    low = ImageChops.darker(least.point(AT_BOTTOM), most.point(OFF_BOTTOM))
    high = ImageChops.darker(most.point(AT_TOP), least.point(OFF_TOP))
    return ImageChops.lighter(low, high).histogram()[255] > few


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture as RGB or RGBA, without metadata. Lab is converted by its definition."""
    converted = image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    converted.info = {}
    return converted


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str, output: str) -> ImageCmsTransform | None:
    """Return the conversion to sRGB, None if the profile gives none. Cached, since photos of a camera share a profile.

    It is relative colorimetric with black point compensation: colors within sRGB stay, white stays white, black black.
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


def normalize_mode(image: Image.Image, depth: int) -> Image.Image:
    """Return the picture as L, LA, RGB, RGBA, CMYK or LAB, 8 bits a channel.

    `depth` is the number of bits for each channel in the source. Without this step, Pillow would resize palettes and
    black-and-white pictures by nearest neighbor, and clip deeper gray at 255.
    """
    if image.mode.startswith(("I", "F")):
        return _deep_gray(image, depth)
    if image.mode in ("L", "RGB") and "transparency" in image.info:
        return _with_alpha_for_color(image, depth)
    if image.has_transparency_data and image.mode not in NORMAL_MODES - {"L", "RGB"}:
        return image.convert("LA" if image.mode in ("L", "La") else "RGBA")
    if image.mode in NORMAL_MODES:
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _with_alpha_for_color(image: Image.Image, depth: int) -> Image.Image:
    """Return a picture with one transparent color as a picture with alpha.

    Pillow gives that color in the depth of the source, but pixels in 8 bits. So of RGB in 16 bits, all colors that are
    the same in 8 bits are transparent.
    """
    stored = image.info["transparency"]
    top = (1 << depth) - 1
    bands = stored if isinstance(stored, tuple) else (stored,)
    color = tuple(band >> 8 if depth == 16 else band * 255 // top for band in bands)
    image.info["transparency"] = color if isinstance(stored, tuple) else color[0]
    return image.convert("LA" if image.mode == "L" else "RGBA")


def _deep_gray(image: Image.Image, depth: int) -> Image.Image:
    """Return gray of more than 8 bits as L, from its full range.

    The range is that of the depth. For 32 bits, of which scientific pictures use any part, it is that of the picture.
    For floating point it is 0 to 1, unless the picture goes beyond.
    """
    if image.mode not in ("I;16", "I", "F"):
        image = image.convert("I").convert("I;16")
    transparent = image.info.get("transparency")
    if image.mode == "I;16" and isinstance(transparent, int):
        gray = _scaled(image, depth)
        gray.putalpha(_alpha_except(image, transparent))
        return gray
    return _scaled(image, depth)


def _alpha_except(image: Image.Image, level: int) -> Image.Image:
    """Return alpha for a picture of 16 bits: 0 for pixels of this level, else 255."""
    halves = Image.frombytes("LA", image.size, image.tobytes("raw", "I;16")).split()  # the lower byte comes first
    both_bytes = (level & 255, level >> 8)
    matches = [
        half.point([255 * (each == byte) for each in range(256)]) for half, byte in zip(halves, both_bytes, strict=True)
    ]
    return ImageChops.invert(ImageChops.darker(*matches))


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
