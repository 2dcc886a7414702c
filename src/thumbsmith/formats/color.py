"""Any colours to sRGB."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

from thumbsmith.formats import cmyk, icc
from thumbsmith.formats.pillow import Image, ImageChops

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


def meaning(profile: bytes | None, mode: str) -> Colors:
    """Return what a picture of this mode means, with the ICC profile that its source holds.

    A profile that is broken, or for other pictures, counts as none, and CMYK without one as offset printing.
    """
    if profile is None or icc.is_srgb(profile):
        return _unsaid(mode)
    grey = mode == "LA"
    transform = _transform(profile, "L" if grey else mode, "RGBA" if mode == "RGBA" else "RGB")
    if transform is None:
        return _unsaid(mode, _complaint(profile, mode))
    return Colors(to_srgb=transform, profile=profile if mode in ("RGB", "RGBA") else None)


def _unsaid(mode: str, note: str | None = None) -> Colors:
    return Colors(to_srgb=_transform(cmyk.profile(), "CMYK", "RGB") if mode == "CMYK" else None, note=note)


def _complaint(profile: bytes, mode: str) -> str:
    """Return what is wrong with a profile that gives no conversion."""
    space = icc.space(profile)
    if space and space.isprintable() and space != SPACES.get("L" if mode == "LA" else mode):
        return f"the color profile is for {space}, which the picture is not in, and was ignored"
    return "the color profile is broken, and was ignored"


def converted(image: Image.Image, transform: ImageCmsTransform) -> Image.Image:
    """Return the picture in sRGB, as RGB or RGBA."""
    if image.mode == "LA":
        colors = transform.apply(image.getchannel("L"))
        colors.putalpha(image.getchannel("A"))
        return colors
    return transform.apply(image)


def cut_off(image: Image.Image, to_srgb: ImageCmsTransform | None) -> bool:
    """Return whether colours of a picture reach beyond what sRGB holds in more than a few places.

    A JPEG decoder, and a conversion to sRGB, cut off what cannot be held. A picture decoded small is averaged before
    that, one decoded in full after it. Of 20 photographs two look different by it at 256 px (SSIM 0.985, where all
    others have 0.997 and more); both have a channel at 0 beside another above 48 in 6 % or more of their pixels.
    """
    sample = image.resize(SAMPLE, Image.Resampling.NEAREST)
    seen = converted(sample, to_srgb) if to_srgb else sample
    if seen.mode != "RGB":
        return False
    red, green, blue = seen.split()
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    low = ImageChops.darker(least.point(AT_BOTTOM), most.point(OFF_BOTTOM))
    high = ImageChops.darker(most.point(AT_TOP), least.point(OFF_TOP))
    few = CUT_OFF_WIDE if to_srgb else CUT_OFF
    return ImageChops.lighter(low, high).histogram()[255] > few * SAMPLE[0] * SAMPLE[1]


def plain(image: Image.Image) -> Image.Image:
    """Return the picture as RGB or RGBA, without metadata: Lab by its definition."""
    made = image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    made.info = {}
    return made


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str, output: str) -> ImageCmsTransform | None:
    """Return the conversion to sRGB, None where there is none. Kept: a camera's photos share a profile.

    Relative colorimetric with black point compensation: what sRGB holds stays, white is white, and black black.
    """
    from thumbsmith.formats.pillow import ImageCms  # noqa: PLC0415 - loads littleCMS, which few pictures need

    if icc.space(profile) != SPACES.get(mode):
        return None
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.ImageCmsTransform(source, srgb, mode, output, intent, flags=flags)
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
