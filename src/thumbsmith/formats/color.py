"""Any colours to sRGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

from thumbsmith.formats import icc

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

# The mode of a picture -> the colour space that its profile must be for. A profile for another space is a mistake.
SPACES: Final = {"L": "GRAY", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK", "LAB": "Lab"}


# More than this share of a picture's pixels, looked for in a sample of this size, is more than a few.
CUT_OFF: Final = 0.04
SAMPLE: Final = (96, 96)

# Level of a channel -> 255 where it is at an end, or far from one.
AT_BOTTOM: Final = [255] + [0] * 255
OFF_BOTTOM: Final = [0] * 49 + [255] * 207
AT_TOP: Final = AT_BOTTOM[::-1]
OFF_TOP: Final = OFF_BOTTOM[::-1]


def conversion(profile: bytes | None, mode: str) -> ImageCmsTransform | None:
    """Return how a picture of this mode, with the ICC profile that its source holds, becomes sRGB.

    None where nothing is to be done by a profile: there is none, it is sRGB already, is for other pictures, or broken.
    """
    if profile is None or icc.is_srgb(profile):
        return None
    grey = mode == "LA"
    return _transform(profile, "L" if grey else mode, "RGBA" if mode == "RGBA" else "RGB")


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
    return ImageChops.lighter(low, high).histogram()[255] > CUT_OFF * SAMPLE[0] * SAMPLE[1]


def plain(image: Image.Image) -> Image.Image:
    """Return the picture as RGB or RGBA, without metadata: CMYK by the plain formula, Lab by its definition."""
    made = image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    made.info = {}
    return made


@lru_cache(maxsize=4)
def _transform(profile: bytes, mode: str, output: str) -> ImageCmsTransform | None:
    """Return the conversion to sRGB, None where there is none. Kept: a camera's photos share a profile."""
    from PIL import ImageCms  # noqa: PLC0415 - loads littleCMS, which few pictures need

    if icc.space(profile) != SPACES.get(mode):
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.ImageCmsTransform(
            source, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), mode, output
        )
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
